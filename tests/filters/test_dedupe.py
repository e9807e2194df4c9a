import numpy as np
import pytest

from filters import dedupe
from filters.dedupe import duplicates


def unit(vectors):
    vectors = np.asarray(vectors, dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def planted(n=300, copies=60, dim=32, seed=0):
    """n different pictures and `copies` near-duplicates of the first ones."""
    rng = np.random.default_rng(seed)
    base = rng.normal(size=(n, dim))
    near = base[:copies] + 0.01 * rng.normal(size=(copies, dim))
    vectors = unit(np.concatenate([base, near]))
    ids = [f"c/{i:04d}" for i in range(n + copies)]
    return ids, [f"h{i}" for i in range(n + copies)], vectors


def test_equal_bytes_are_exact_and_the_best_rank_stays():
    dropped = duplicates(["a", "b", "c"], ["x", "x", "y"], [(1.0,), (0.0,), (0.0,)], None, 0.9)
    assert dropped == {"a": ("b", "exact")}


def test_planted_near_duplicates_are_found_and_nothing_else():
    ids, hashes, vectors = planted()
    ranks = [(0.0,)] * len(ids)
    dropped = duplicates(ids, hashes, ranks, vectors, 0.95)
    assert dropped == {ids[300 + i]: (ids[i], "semantic") for i in range(60)}


def test_chains_form_one_group():
    angles = np.radians([0, 10, 20, 90])
    vectors = unit(np.stack([np.cos(angles), np.sin(angles)], axis=1))
    dropped = duplicates(list("abcd"), list("wxyz"), [(0.0,)] * 4, vectors, np.cos(np.radians(11)))
    assert dropped == {"b": ("a", "semantic"), "c": ("a", "semantic")}


def test_order_does_not_matter():
    ids, hashes, vectors = planted(seed=1)
    ranks = [(float(i % 3),) for i in range(len(ids))]
    answers = []
    for seed in range(3):
        p = np.random.default_rng(seed).permutation(len(ids))
        answers.append(
            duplicates(
                [ids[i] for i in p], [hashes[i] for i in p], [ranks[i] for i in p], vectors[p], 0.95
            )
        )
    assert answers[0] == answers[1] == answers[2]


def test_the_index_for_many_vectors_finds_what_the_exhaustive_search_finds(monkeypatch):
    ids, hashes, vectors = planted(n=3000, copies=300)
    ranks = [(0.0,)] * len(ids)
    exact = duplicates(ids, hashes, ranks, vectors, 0.95)
    monkeypatch.setattr(dedupe, "EXACT_BELOW", 0)
    assert duplicates(ids, hashes, ranks, vectors, 0.95) == exact


@pytest.mark.parametrize("n", [0, 1])
def test_few_pictures(n):
    vectors = unit(np.ones((n, 4)))
    assert duplicates(["a"][:n], ["x"][:n], [(0.0,)][:n], vectors, 0.9) == {}
