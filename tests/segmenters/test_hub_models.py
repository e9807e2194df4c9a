"""Transformers models behind the protocol, each by a tiny model of its real class."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from miner.core.errors import Refused
from segmenters import clipseg, grounding_dino, sam, text_prompted
from segmenters.clipseg import ClipSegConfig
from segmenters.config import RefineConfig
from segmenters.grounding_dino import GroundingDinoConfig
from segmenters.protocol import Candidate, Prompt
from segmenters.refine import Refiner
from segmenters.sam import Sam3Config, label_map
from segmenters.tiling import TilingConfig
from tests.segmenters import tiny_models
from tests.segmenters.biomedparse.tiny import picture

WHOLE = TilingConfig(field="whole")
PROMPTS = [
    Prompt("nucleus", "object", ("nuclei", "cell nuclei")),
    Prompt("stroma", "stuff", ("stroma",)),
]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Folder of each tiny model, made when first asked for."""
    folder = tmp_path_factory.mktemp("models")
    made = {}

    def get(name):
        if name not in made:
            made[name] = str(getattr(tiny_models, name)(folder / name))
        return made[name]

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield get
    torch.set_num_threads(threads)


def check_answers(segmenter):
    """What every text-prompted segmenter must keep to, whole and in tiles."""
    for mpp in (0.5, None):
        encoded = segmenter.encode(picture(60, 90), mpp)
        answers = segmenter.segment(encoded, PROMPTS)
        again = segmenter.segment(encoded, PROMPTS[1:])
        assert [a.concept for a in answers] == ["nucleus", "stroma"]
        for answer in answers:
            assert set(answer.scores) <= set(text_prompted.SCORES)
            assert 0 <= answer.confidence <= 1
            assert (answer.mask is None) == (answer.reason == "empty")
            if answer.mask is not None:
                assert answer.mask.shape == (60, 90)
                assert answer.mask.dtype == bool
        np.testing.assert_allclose(again[0].confidence, answers[1].confidence, atol=1e-5)


def test_clipseg_equals_the_full_forward_pass(models):
    config = ClipSegConfig(model=models("clipseg"), tiling=WHOLE, batch=2)
    model = clipseg.ClipSegModel(config)
    image, phrases = picture(60, 90), ["nuclei", "stroma of the gland", "fat"]
    answers = model.answer(model.encode(image), phrases)
    for phrase, answer in zip(phrases, answers, strict=True):
        tokens = model.tokenizer(phrase, return_tensors="pt", truncation=True, max_length=16)
        with torch.inference_mode():
            logits = model.model(pixel_values=model.prepare(image), **tokens).logits
        expected = torch.nn.functional.interpolate(
            logits.reshape(1, 1, 64, 64), (60, 90), mode="bilinear"
        )
        np.testing.assert_allclose(answer.prob, expected[0, 0].sigmoid(), atol=1e-5)
    assert [a.truncated for a in answers] == [False, True, False]
    assert answers[0].prob.std() > 0


def test_clipseg_answers(models):
    check_answers(clipseg.build(ClipSegConfig(model=models("clipseg"))))


def test_sam3_equals_the_full_forward_pass(models):
    config = Sam3Config(model=models("sam3"), tiling=WHOLE, min_score=0.0)
    model = sam.Sam3Model(config)
    image = picture(56, 56)
    answers = model.answer(model.encode(image), ["nuclei", "fat", "an over long phrase"])
    tokens = model.tokenizer("fat", return_tensors="pt", padding="max_length", max_length=12)
    with torch.inference_mode():
        out = model.model(pixel_values=model.prepare(image), **tokens)
    probs = torch.nn.functional.interpolate(out.pred_masks.sigmoid(), (56, 56), mode="bilinear")
    np.testing.assert_allclose(answers[1].prob, probs[0].amax(0), atol=1e-5)
    assert [a.truncated for a in answers] == [False, False, True]


def test_sam3_answers_and_drops_what_scores_low(models):
    check_answers(sam.build(Sam3Config(model=models("sam3"), min_score=0.0)))
    strict = sam.build(Sam3Config(model=models("sam3"), min_score=1.0))
    answers = strict.segment(strict.encode(picture(), 0.5), PROMPTS)
    assert [a.reason for a in answers] == ["empty", "empty"]


def test_grounding_dino_boxes_become_sam_masks(models):
    config = GroundingDinoConfig(
        detector=models("grounding_dino"), sam=models("sam"), box_threshold=0.0
    )
    check_answers(grounding_dino.build(config))
    model = grounding_dino.GroundingDinoModel(config)
    answers = model.answer(model.encode(picture(60, 90)), ["nuclei", "a " * 60])
    assert [a.truncated for a in answers] == [False, True]
    strict = config.model_copy(update={"box_threshold": 1.0})
    model = grounding_dino.GroundingDinoModel(strict)
    assert not model.answer(model.encode(picture(60, 90)), ["nuclei"])[0].prob.any()


def test_sam_masks_follow_boxes_in_pixels_of_the_picture(models):
    boxes = sam.SamBoxes(models("sam"), "sam", "cpu")
    image = picture(60, 90)
    features = boxes.encode(image)
    assert features.inner == (43, 64)
    probs, quality = boxes.masks(features, np.array([[10.0, 5, 40, 30], [50, 20, 80, 50]]))
    assert probs.shape == (2, 60, 90)
    assert quality.shape == (2,)
    # The same by hand: the model's own square, cropped to what is not padding.
    pixels = torch.nn.functional.pad(boxes.prepare(image), (0, 0, 0, 64 - 43))
    with torch.inference_mode():
        out = boxes.model(
            pixel_values=pixels,
            input_boxes=torch.tensor([[[50 * 64 / 90, 20 * 43 / 60, 80 * 64 / 90, 50 * 43 / 60]]]),
            multimask_output=False,
        )
        square = torch.nn.functional.interpolate(out.pred_masks[0], (64, 64), mode="bilinear")
        expected = torch.nn.functional.interpolate(
            square[..., :43, :], (60, 90), mode="bilinear"
        ).sigmoid()
    np.testing.assert_allclose(probs[1], expected[0, 0], atol=1e-5)
    assert boxes.masks(features, np.zeros((0, 4)))[0].shape == (0, 60, 90)


def test_refinement_keeps_the_agreement_and_replaces_on_demand(models):
    mask = np.zeros((60, 90), bool)
    mask[10:30, 20:50] = True
    labels = mask.astype(np.int32)
    labels[:, 35:] *= 2
    candidates = [
        Candidate("nucleus", "nuclei", mask, labels, 0.7),
        Candidate("stroma", "stroma", mask, None, 0.7),
        Candidate("fat", "fat", None, reason="empty"),
    ]
    image = picture(60, 90)
    kept = Refiner(RefineConfig(model=models("sam")))(image, [candidates])[0]
    assert kept[2] == candidates[2]
    for before, after in zip(candidates[:2], kept[:2], strict=True):
        assert 0 <= after.scores["refine_iou"] <= 1
        assert after.mask is before.mask
    redrawn = Refiner(RefineConfig(model=models("sam"), replace=True))(image, [candidates])[0]
    assert ((redrawn[0].labels > 0) == redrawn[0].mask).all()
    assert redrawn[1].labels is None
    few = Refiner(RefineConfig(model=models("sam"), max_boxes=1))(image, [candidates])[0]
    assert "refine_iou" not in few[0].scores
    assert "refine_iou" in few[1].scores


def test_overlapping_objects_go_to_the_best_score():
    masks = np.zeros((2, 1, 4), bool)
    masks[0, 0, :3] = True
    masks[1, 0, 2:] = True
    assert label_map(masks, np.array([0.2, 0.9])).tolist() == [[2, 2, 1, 1]]


def test_missing_models_are_refused_in_one_line(tmp_path):
    for build in (
        lambda: clipseg.build(ClipSegConfig(model=str(tmp_path))),
        lambda: sam.build(Sam3Config(model=str(tmp_path))),
        lambda: Refiner(RefineConfig(model=str(tmp_path))),
    ):
        with pytest.raises(Refused) as error:
            build()
        assert "\n" not in str(error.value)
        assert ".model" in str(error.value)


def test_models_with_random_parts_are_refused(models, tmp_path):
    folder = tiny_models.clipseg(tmp_path / "partial")
    weights = load_file(folder / "model.safetensors")
    del weights["decoder.film_add.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(Refused, match=r"lacks 1 tensors, first decoder\.film_add\.weight"):
        clipseg.build(ClipSegConfig(model=str(folder)))
