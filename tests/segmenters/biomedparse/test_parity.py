"""The port against the official code's recording (beside the checkout) and our own golden."""

import numpy as np
import pytest
import torch

from segmenters.biomedparse import BiomedParse
from segmenters.biomedparse.decoder import Decoder
from tests.segmenters.biomedparse import golden
from tests.segmenters.biomedparse.recorded import differences, tolerance


@pytest.fixture(scope="module")
def tiny():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield golden.tiny_model()
    torch.set_num_threads(threads)


def test_equals_the_official_recording(shared):
    path = shared / "biomedparse" / "reference_small.pt"
    reference = torch.load(path, weights_only=True)
    found = differences(BiomedParse.from_checkpoint(path), reference)
    assert len(found) >= len(reference["records"])
    assert {k: v for k, v in found.items() if not v[0] <= v[1]} == {}


def test_equals_the_golden(tiny):
    expected = np.load(golden.FILE)
    found = golden.run(tiny)
    assert found.keys() == set(expected.files)
    for name in expected.files:
        allowed = 1e-4 if name == "prob" else tolerance(name)
        np.testing.assert_allclose(found[name], expected[name], rtol=0, atol=allowed, err_msg=name)


def test_golden_exercises_every_branch(tiny, monkeypatch):
    """Masks that vary, different queries, and some queries whose mask is empty."""
    opened = []
    attention_mask = Decoder._attention_mask

    def count(self, queries, features):
        mask = attention_mask(self, queries, features)
        opened.append(mask.all(dim=-1).double().mean().item())
        return mask

    monkeypatch.setattr(Decoder, "_attention_mask", count)
    found = golden.run(tiny)
    assert len(set(found["query"].tolist())) > 1
    assert found["prob"].std(axis=(1, 2)).min() > 0.05
    assert 0 < np.mean(opened) < 1


def test_prompts_do_not_meet(tiny):
    features = tiny.encode(golden.picture())
    together = tiny.decode(features, golden.PROMPTS)
    for i, prompt in enumerate(golden.PROMPTS):
        alone = tiny.decode(features, [prompt])
        assert torch.equal(alone.query[0], together.query[i])
        torch.testing.assert_close(alone.prob[0], together.prob[i], rtol=0, atol=1e-5)


@pytest.fixture
def as_on_gpu(tiny):
    """Batches are filled up, as a GPU has them."""
    tiny._padded = True
    yield tiny
    tiny._padded = False


def test_what_a_batch_is_filled_up_with_changes_no_bit(as_on_gpu):
    pictures = [golden.picture(), golden.picture()[::-1].copy(), golden.picture()[:, :200].copy()]
    (one,) = as_on_gpu.encode_all(pictures[:1], 3)
    three = as_on_gpu.encode_all(pictures, 3)
    assert torch.equal(one.memory.mask_features, three[0].memory.mask_features)
    assert [f.size for f in three] == [picture.shape[:2] for picture in pictures]
    few = as_on_gpu.decode(one, golden.PROMPTS[:1])
    many = as_on_gpu.decode(three[0], golden.PROMPTS)
    assert torch.equal(few.logits[0], many.logits[0])


def test_pictures_encoded_together_are_those_encoded_alone(tiny):
    pictures = [golden.picture(), golden.picture()[::-1].copy()]
    for one, picture in zip(tiny.encode_all(pictures, 2), pictures, strict=True):
        alone = tiny.encode(picture).memory.mask_features
        torch.testing.assert_close(one.memory.mask_features, alone, rtol=0, atol=1e-4)


def test_batch_size_does_not_matter(tiny):
    features = tiny.encode(golden.picture())
    whole = tiny.decode(features, golden.PROMPTS)
    tiny.batch, before = 2, tiny.batch
    try:
        halves = tiny.decode(features, golden.PROMPTS)
    finally:
        tiny.batch = before
    torch.testing.assert_close(whole.prob, halves.prob, rtol=0, atol=1e-5)
