"""Wrong checkpoints, odd pictures, odd prompts, missing devices."""

import os
import pickle

import numpy as np
import pytest
import torch
from PIL import Image

from miner.core.errors import Refused
from segmenters.biomedparse import BiomedParse, Sizes, weights
from segmenters.biomedparse.segmenter import PART, BiomedParseConfig, build, phrases
from segmenters.biomedparse.tokenizer import END, START, Tokenizer
from segmenters.protocol import Prompt
from tests.segmenters.biomedparse import tiny


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return tiny.write_checkpoint(tmp_path_factory.mktemp("checkpoint") / "biomedparse_v1.pt")


@pytest.fixture(scope="module")
def model(checkpoint):
    return BiomedParse.from_checkpoint(checkpoint)


def refusal(path, **kw):
    with pytest.raises(Refused) as error:
        BiomedParse.from_checkpoint(path, **kw)
    assert "\n" not in str(error.value)
    return str(error.value)


def saved(path, content):
    torch.save(content, path)
    return path


def test_missing_checkpoint_says_where_to_get_it(tmp_path):
    message = refusal(tmp_path / "none.pt")
    assert "microsoft/BiomedParse" in message
    assert "biomedparse.checkpoint" in message
    assert str(tmp_path) in refusal(tmp_path)  # a folder without the file


def test_hub_repository_that_cannot_be_reached(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert "download biomedparse_v1.pt" in refusal("nobody/nothing")


def test_folder_and_checksum(checkpoint):
    BiomedParse.from_checkpoint(checkpoint.parent, sha256=weights.checksum(checkpoint).upper())
    assert "checksum" in refusal(checkpoint, sha256="0" * 64)


def test_truncated_checkpoint(checkpoint, tmp_path):
    short = tmp_path / "short.pt"
    short.write_bytes(checkpoint.read_bytes()[:100_000])
    assert "truncated" in refusal(short)
    empty = tmp_path / "empty.pt"
    empty.write_bytes(b"")
    assert "truncated" in refusal(empty)
    text = tmp_path / "text.pt"
    text.write_text("version https://git-lfs.github.com/spec/v1\n" * 20)
    assert refusal(text)


def test_pickle_that_would_execute_code(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "executed"),)

    old = tmp_path / "old.pt"
    old.write_bytes(pickle.dumps({"weight": Evil()}))
    assert refusal(old)
    assert "execute" in refusal(saved(tmp_path / "evil.pt", {"weight": Evil()}))
    assert not (tmp_path / "executed").exists()


def test_second_version_is_recognised(tmp_path):
    state = {
        "model.backbone.norm0.weight": torch.ones(1),
        "model.sem_seg_head.predictor.language_encoder.lang_proj": torch.ones(1),
        "model.output_deconv.bias": torch.ones(1),
    }
    assert "BiomedParse v2" in refusal(saved(tmp_path / "later.ckpt", {"state_dict": state}))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s.pop("backbone.norm2.bias"), ["1 tensors missing", "backbone.norm2.bias"]),
        (lambda s: s.update({"decoder.new": torch.ones(1)}), ["1 tensors unknown", "decoder.new"]),
        (
            lambda s: s.update({"backbone.norm0.bias": torch.ones(5)}),
            ["backbone.norm0.bias", "(5,)", "(8,)"],
        ),
        (
            lambda s: s.update({"backbone.norm0.bias": torch.ones(8, dtype=torch.int64)}),
            ["backbone.norm0.bias", "int64"],
        ),
    ],
)
def test_other_checkpoints_are_named_by_their_first_tensor(tmp_path, change, words):
    state = tiny.state_dict()
    change(state)
    path = saved(tmp_path / "c.pt", {"sizes": tiny.TINY.model_dump(), "state_dict": state})
    message = refusal(path)
    assert all(word in message for word in words)


def test_reduced_weights_without_their_sizes(tmp_path):
    """A bare state dictionary is taken for the released sizes, and then does not fit."""
    path = saved(tmp_path / "bare.pt", tiny.state_dict())
    assert "BiomedParse v1" in refusal(path)
    BiomedParse.from_checkpoint(path, sizes=tiny.TINY)


def test_half_precision_weights_are_computed_in_full(tmp_path, model):
    state = {k: v.half() for k, v in tiny.state_dict().items()}
    path = saved(tmp_path / "half.pt", {"sizes": tiny.TINY.model_dump(), "state_dict": state})
    half = BiomedParse.from_checkpoint(path)
    assert next(half.network.parameters()).dtype == torch.float32


def test_listed_tensors_of_the_released_checkpoint_fit(shared):
    import json

    from segmenters.biomedparse.model import Network

    listing = json.loads((shared / "biomedparse/state_dict_keys_full.json").read_text())
    with torch.device("meta"):
        own = {k: list(v.shape) for k, v in Network(Sizes()).state_dict().items()}
    used = {k: s for k, (s, _) in listing.items() if not k.startswith(weights.UNUSED)}
    assert own == used
    assert len(own) == 925


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("device", ["cuda", "cuda:3", "nonsense"])
def test_missing_device(checkpoint, device):
    assert device in refusal(checkpoint, device=device)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((1, 1, 3), np.uint8),
        np.full((1, 20000, 3), 7, np.uint8),
        np.full((30, 40), 200, np.uint8),
        np.full((30, 40, 4), 200, np.uint8),
        np.full((30, 40), 60000, np.uint16),
        Image.new("L", (40, 30), 9),
        Image.new("RGBA", (40, 30), (9, 9, 9, 0)),
        Image.new("P", (40, 30)),
        Image.fromarray(np.full((30, 40), 60000, np.uint16)),
    ],
    ids=lambda image: image.mode if isinstance(image, Image.Image) else str(image.shape),
)
def test_odd_pictures(model, image):
    height, width = image.shape[:2] if isinstance(image, np.ndarray) else image.size[::-1]
    answer = model.decode(model.encode(image), ["gland"])
    assert answer.prob.shape == (1, height, width)
    assert torch.isfinite(answer.prob).all()


def test_sixteen_bits_are_scaled(model):
    grey = (np.arange(1200).reshape(30, 40) % 256).astype(np.uint8)
    eight = model.decode(model.encode(grey), ["gland"]).prob
    sixteen = model.decode(model.encode(grey.astype(np.uint16) * 257), ["gland"]).prob
    assert torch.equal(eight, sixteen)


@pytest.mark.parametrize("image", [np.zeros((3, 3, 3)), np.zeros((0, 3, 3), np.uint8)])
def test_arrays_that_are_no_picture(model, image):
    with pytest.raises(ValueError, match="picture"):
        model.encode(image)


def test_prompts(model):
    features = model.encode(tiny.picture())
    for empty in ("", "  \n"):
        with pytest.raises(ValueError, match="empty prompt"):
            model.decode(features, ["gland", empty])
    long = model.decode(features, ["nuclei " * 500, "nuclei"])
    assert long.truncated.tolist() == [True, False]
    nothing = model.decode(features, [])
    assert nothing.prob.shape == (0, 90, 120)
    single = model.decode(features, "nuclei")
    torch.testing.assert_close(single.prob[0], long.prob[1], rtol=0, atol=1e-5)
    twice = model.decode(features, ["gland", "gland"])
    assert twice.shared.tolist() == [True, True]
    assert torch.equal(twice.prob[0], twice.prob[1])


def test_tokens_are_those_of_the_official_run():
    tokens, cut = Tokenizer()("neoplastic cells in breast pathology")
    assert tokens == [START, 557, 36270, 1561, 8890, 530, 9475, 23290, END]
    assert not cut
    tokens, cut = Tokenizer()("nuclei " * 500)
    assert (len(tokens), tokens[-1], cut) == (77, END, True)


def test_missing_tokenizer(checkpoint, tmp_path):
    assert "tokenizer" in refusal(checkpoint, tokenizer=str(tmp_path))


def test_out_of_memory_falls_back_to_one_prompt_at_a_time(checkpoint, monkeypatch):
    model = BiomedParse.from_checkpoint(checkpoint)
    features, prompts = model.encode(tiny.picture()), ["gland", "nuclei", "inflammatory cells"]
    expected = model.decode(features, prompts)
    decode_rows = BiomedParse._decode_rows

    def small_gpu(self, memory, tokens, batch):
        if len(tokens) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return decode_rows(self, memory, tokens, batch)

    monkeypatch.setattr(BiomedParse, "_decode_rows", small_gpu)
    answer = model.decode(features, prompts)
    assert answer.fell_back
    assert not expected.fell_back
    assert torch.equal(answer.query, expected.query)
    torch.testing.assert_close(answer.prob, expected.prob, rtol=0, atol=1e-5)


def test_options_do_not_change_results(checkpoint, model):
    other = BiomedParse.from_checkpoint(checkpoint, channels_last=True, precision="bf16")
    picture = tiny.picture()
    a = model.decode(model.encode(picture), ["gland"])
    b = other.decode(other.encode(picture), ["gland"])
    torch.testing.assert_close(a.prob, b.prob, rtol=0, atol=1e-5)


def test_segmenter_asks_in_the_words_of_the_training(checkpoint):
    prompt = Prompt("tumor cell", "object", ("tumor cells",), site="breast")
    wordings = phrases(prompt, "{target} in {site} {modality}", "pathology")
    assert wordings[:2] == ["neoplastic cells in breast pathology", "neoplastic cells"]
    nowhere = Prompt("stroma", "stuff", ("stroma",))
    assert phrases(nowhere, "{target} in {site} {modality}", "pathology")[0].endswith(
        "in pathology"
    )
    segmenter = build(BiomedParseConfig(checkpoint=str(checkpoint)))
    encoded = segmenter.encode(tiny.picture(), 0.5)
    answers = segmenter.segment(encoded, [prompt, nowhere])
    assert answers[0].prompt == wordings[0]
    for answer in answers:
        assert set(answer.scores) <= set(PART.columns)
        assert 0 <= answer.confidence <= 1
        assert {"mean_probability", "wording_agreement", "same_query"} <= set(answer.scores)


def test_bad_sizes_file(checkpoint, tmp_path):
    for content in ("embed: 3", "- 1", "{", "image_size: 100"):
        path = tmp_path / "sizes.yaml"
        path.write_text(content)
        with pytest.raises(Refused, match=r"biomedparse.sizes"):
            build(BiomedParseConfig(checkpoint=str(checkpoint), sizes=str(path)))


def test_compilation_that_fails_is_refused_before_the_first_picture(checkpoint, monkeypatch):
    def broken(module):
        def run(x):
            raise RuntimeError("no compiler\nfound")

        return run

    monkeypatch.setattr(torch, "compile", broken)
    assert "biomedparse.compile" in refusal(checkpoint, compile=True)
