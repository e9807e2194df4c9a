"""The shipped default: weights, routes, answers and confidence."""

import cv2
import numpy as np
import pytest

from miner.demo import render
from ner.concepts import concepts
from segmenters import confidence, routes
from segmenters.embedded import EmbeddedSegmenter, _iou
from segmenters.protocol import Prompt
from segmenters.training import data
from segmenters.unet import weights


@pytest.fixture(scope="module")
def segmenter() -> EmbeddedSegmenter:
    return EmbeddedSegmenter()


@pytest.fixture(scope="module")
def tile() -> render.PhantomTile:
    return render.tile(11, 320, mpp=0.5, organ="breast")


def ask(*names: str) -> list[Prompt]:
    return [Prompt(name, "object", (name,)) for name in names]


def test_nuclei_of_a_phantom_are_found(segmenter, tile):
    (found,) = segmenter.segment(segmenter.encode(tile.image, tile.mpp), ask("nucleus"))
    truth = tile.labels["nuclei"] > 0
    assert 2 * (found.mask & truth).sum() / (found.mask.sum() + truth.sum()) > 0.6
    assert np.array_equal(found.mask, found.labels > 0)
    assert found.mask.shape == tile.image.shape[:2]


def test_cytoplasm_lies_between_the_nuclei_of_epithelium(segmenter, tile):
    tissue, nuclei, cytoplasm = segmenter.segment(
        segmenter.encode(tile.image, tile.mpp), ask("epithelium", "nucleus", "cytoplasm")
    )
    assert cytoplasm.mask.any()
    assert np.array_equal(cytoplasm.mask, tissue.mask & ~nuclei.mask)


def test_stromal_nuclei_reach_beyond_their_nuclei_and_into_no_other(segmenter, tile):
    nuclei, stromal, epithelial = segmenter.segment(
        segmenter.encode(tile.image, tile.mpp),
        ask("nucleus", "stromal nucleus", "epithelial nucleus"),
    )
    core = stromal.mask & nuclei.mask
    assert core.sum() < stromal.mask.sum() < 3 * core.sum()
    assert set(np.unique(stromal.labels[core])) == set(np.unique(stromal.labels[stromal.mask]))
    assert not (stromal.mask & epithelial.mask).any()


def test_every_prompt_gets_one_answer_in_order(segmenter, tile):
    prompts = ask("gland", "nucleolus", "nucleus", "stroma", "tumor cell")
    answers = segmenter.segment(segmenter.encode(tile.image, None), prompts)
    assert [a.concept for a in answers] == [p.concept for p in prompts]
    for answer in answers:
        assert (answer.mask is None) == (answer.reason is not None)
        assert 0 <= answer.confidence <= 1
        assert all(np.isfinite(v) for v in answer.scores.values())
    assert answers[1].reason == "unsupported"


def test_an_unknown_scale_is_estimated_and_recorded(segmenter, tile):
    (known,) = segmenter.segment(segmenter.encode(tile.image, tile.mpp), ask("nucleus"))
    (unknown,) = segmenter.segment(segmenter.encode(tile.image, None), ask("nucleus"))
    assert known.scores["mpp_estimated"] == 0
    assert unknown.scores["mpp_estimated"] == 1
    assert 0.2 < unknown.scores["mpp"] < 1.2


def test_answers_are_the_same_twice_and_in_any_company(segmenter, tile):
    (alone,) = segmenter.segment(segmenter.encode(tile.image, None), ask("epithelium"))
    many = segmenter.segment(
        segmenter.encode(tile.image, None), ask("nucleus", "gland", "epithelium")
    )
    assert (alone.mask is None) == (many[2].mask is None)
    assert alone.confidence == many[2].confidence
    if alone.mask is not None:
        assert np.array_equal(alone.mask, many[2].mask)


def test_glomeruli_are_told_in_pas_alone(segmenter, tile):
    (found,) = segmenter.segment(segmenter.encode(tile.image, tile.mpp), ask("glomerulus"))
    assert found.reason == "out_of_support"


def test_glomeruli_of_tiles_kept_apart_are_found(segmenter, shared):
    folder = shared / "data" / "train"
    rows = [r for r in data.read_index(folder) if r["set"] == "glomeruli_pas"]
    found = []
    for row in filter(data.kept_apart, rows):
        image = cv2.cvtColor(cv2.imread(str(folder / row["file"])), cv2.COLOR_BGR2RGB)
        path = folder / row["entities"]["glomerulus"]["mask"]
        truth = cv2.imread(str(path), cv2.IMREAD_UNCHANGED) > 0
        glomeruli, nuclei = segmenter.segment(
            segmenter.encode(image, None), ask("glomerulus", "nucleus")
        )
        assert nuclei.reason == "out_of_support"
        mask = np.zeros_like(truth) if glomeruli.mask is None else glomeruli.mask
        found.append(2 * (mask & truth).sum() / (mask.sum() + truth.sum()))
    assert np.mean(found) > 0.5


def test_brown_tiles_are_out_of_support(segmenter):
    rng = np.random.default_rng(0)
    blobs = cv2.GaussianBlur(rng.standard_normal((128, 128)), (0, 0), 4) > 0
    density = 0.2 + blobs[..., None] * np.array([0.5, 1.0, 1.4])
    image = np.clip(250 * np.exp(-density), 0, 255).astype(np.uint8)
    (found,) = segmenter.segment(segmenter.encode(image, 0.5), ask("nucleus"))
    assert found.reason == "out_of_support"


@pytest.mark.parametrize("shape", [(1, 1), (7, 300), (33, 17)])
def test_odd_pictures_get_an_answer(segmenter, shape):
    image = np.random.default_rng(0).integers(0, 255, (*shape, 3), np.uint8)
    for mpp in (None, 0.25, 4.0):
        (found,) = segmenter.segment(segmenter.encode(image, mpp), ask("nucleus"))
        assert found.mask is None or found.mask.shape == shape


def test_routes_name_concepts_of_the_table():
    assert set(routes.ROUTES) <= set(concepts())
    assert set(routes.ROUTES.values()) <= {"unet", "stain", "both"}


@pytest.mark.parametrize(
    ("concept", "networks", "rules"),
    [
        ("lymphocyte", 0.71, 0.54),
        ("stromal nucleus", 0.45, 0.31),
        ("red blood cell", 0.57, 0.08),
        ("lumen", 0.68, 0.52),
        ("stroma", 0.84, 0.41),
        ("epithelium", 0.90, 0.68),
        ("fat", 1.0, 0.46),
        ("neutrophil", 0.24, 0.02),
    ],
)
def test_a_concept_is_answered_by_what_was_measured_to_be_better(concept, networks, rules):
    """Mean Dice or object F1 on training tiles kept apart, as segmenters/routes.py has them."""
    assert routes.ROUTES[concept] == ("unet" if networks > rules else "stain")


def test_narrower_concepts_are_answered_as_the_wider_one_only_where_they_look_alike():
    assert routes.native("endometrial gland") == "gland"
    assert routes.native("t cell") is None
    assert routes.native("artery") is None
    assert routes.native("no such thing") is None


def test_confidence_grows_with_what_it_is_read_from():
    low = {
        "expected_iou": 0.3, "agreement": 0.1, "area_fraction": 0.1, "objects": 50.0,
        "mpp_estimated": 0.0,
    }  # fmt: skip
    high = {**low, "expected_iou": 0.9, "agreement": 0.8}
    assert confidence.confidence("nucleus", high) > confidence.confidence("nucleus", low)


def test_shipped_weights_are_small():
    files = sorted(weights.FOLDER.glob("*.pt"))
    assert [f.stem for f in files] == ["glomeruli", "kinds", "mitoses", "nuclei", "regions"]
    assert sum(f.stat().st_size for f in files) < 13e6


def test_overlap_is_a_share():
    one, two = np.zeros((4, 4), bool), np.zeros((4, 4), bool)
    one[:2], two[1:3] = True, True
    assert _iou(one, two) == pytest.approx(1 / 3)
    assert _iou(np.zeros_like(one), np.zeros_like(one)) == 0
