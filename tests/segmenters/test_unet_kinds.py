"""The classifier of nuclei: what it is fitted on, and that the fit finds rare kinds."""

import types

import numpy as np
import pytest

from miner.demo import render
from segmenters.training import fit_kinds
from segmenters.training.targets import IGNORE
from segmenters.unet import kinds

NEUTROPHIL = kinds.KINDS.index("neutrophil")


@pytest.fixture
def few_steps(monkeypatch):
    monkeypatch.setattr(fit_kinds, "STEPS", 80)
    monkeypatch.setattr(fit_kinds, "BATCH", 256)


def crowd() -> tuple[np.ndarray, np.ndarray]:
    """Rows of three kinds, one nucleus in fifty a neutrophil, each with a feature of its own."""
    rng = np.random.default_rng(0)
    kind = rng.choice([0, 2, NEUTROPHIL], 2000, p=[0.6, 0.38, 0.02])
    rows = rng.normal(0, 1, (2000, 7)).astype(np.float32)
    rows[np.arange(2000), kind] += 4
    return rows, kind


def test_a_rare_kind_is_found(few_steps, monkeypatch):
    rows, kind = crowd()
    model = fit_kinds.fit(rows, kind, np.ones(len(kind)), 0)
    monkeypatch.setattr(kinds, "_model", lambda: model)
    found = kinds.classify(rows).argmax(axis=1)
    assert (found == kind).mean() > 0.95
    assert (found == NEUTROPHIL)[kind == NEUTROPHIL].mean() > 0.8


def test_members_side_by_side_score_as_their_mean(few_steps, monkeypatch):
    rows, kind = crowd()
    model = fit_kinds.fit(rows, kind, np.ones(len(kind)), 0)
    size = fit_kinds.HIDDEN
    assert model["weight1"].shape == (7, fit_kinds.MEMBERS * size)

    def log_probability(network: dict[str, np.ndarray]) -> np.ndarray:
        monkeypatch.setattr(kinds, "_model", lambda: network)
        return np.log(kinds.classify(rows[:50]))

    scores = []
    for i in range(fit_kinds.MEMBERS):
        part = slice(i * size, (i + 1) * size)
        alone = model | {
            "weight1": model["weight1"][:, part],
            "bias1": model["bias1"][part],
            "weight2": model["weight2"][part] * fit_kinds.MEMBERS,
        }
        scores.append(log_probability(alone))
    mean = np.mean(scores, axis=0)
    mean -= np.log(np.exp(mean).sum(axis=1, keepdims=True))
    assert np.abs(mean - log_probability(model)).max() < 1e-3
    # Members differ, or averaging them would be for nothing.
    assert np.abs(scores[0] - scores[1]).max() > 0.1


def test_equal_seeds_fit_equally(few_steps):
    rows, kind = crowd()
    one, two, other = (fit_kinds.fit(rows, kind, np.ones(len(kind)), s) for s in (0, 0, 1))
    assert all(np.array_equal(one[k], two[k]) for k in one)
    assert not np.array_equal(one["weight1"], other["weight1"])


def test_phantoms_come_at_any_scale_and_every_second_hides_it(monkeypatch):
    asked = []

    class Segmenter:
        def encode(self, image, mpp):
            asked.append(mpp)
            nuclei = np.zeros(image.shape[:2], np.int32)
            nuclei[:4, :4] = 1
            return types.SimpleNamespace(nuclei=nuclei, kind_features=np.zeros((1, 3)))

    monkeypatch.setattr(fit_kinds, "PHANTOM_PX", 32)
    organs = [render.tile(fit_kinds.PHANTOM_SEED + i, 32).organ for i in range(24)]
    left_out = [organ in fit_kinds.ORGANS_LEFT_OUT for organ in organs]
    parts = list(fit_kinds.phantom_parts(Segmenter(), 24))
    assert len(parts) == len(asked) == 24 - sum(left_out)
    hidden = [i % 2 == 1 for i, skipped in enumerate(left_out) if not skipped]
    assert [mpp is None for mpp in asked] == hidden
    given = [mpp for mpp in asked if mpp is not None]
    assert min(given) < 0.3
    assert max(given) > 0.6


def test_truth_is_unknown_where_no_kind_is_outlined():
    labels = {"nuclei": np.ones((4, 4), int), "neutrophil": np.eye(4, dtype=int)}
    truth = fit_kinds.truth_of(labels, (4, 4))
    assert (truth[np.eye(4) > 0] == NEUTROPHIL).all()
    assert (truth[np.eye(4) == 0] == IGNORE).all()
