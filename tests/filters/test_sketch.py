"""Sketches turn with their pictures, and the cells of an index lose next to nothing."""

import numpy as np
import pytest

from filters.dedupe import near
from filters.dedupe.near import Index, build_index, candidates, look_up
from filters.dedupe.sketch import views, wholes
from filters.dedupe.thumbnail import ORIENTATIONS, SIDE, turned


def thumbs(n, seed=0):
    """Noise of several scales."""
    rng = np.random.default_rng(seed)
    found = np.zeros((n, SIDE, SIDE))
    for scale in (4, 8, 16):
        coarse = rng.normal(size=(n, scale, scale))
        found += coarse.repeat(SIDE // scale, axis=1).repeat(SIDE // scale, axis=2)
    low, high = found.min(), found.max()
    return np.round(255 * (found - low) / (high - low)).astype(np.uint8)


def test_a_picture_is_stored_the_same_way_however_it_lies():
    for thumb in thumbs(5):
        ways = np.stack([turned(thumb, o) for o in range(ORIENTATIONS)])
        sketch = wholes(ways).sketch
        assert np.abs(sketch - sketch[0]).max() < 1e-4


@pytest.mark.parametrize("orientation", range(ORIENTATIONS))
def test_what_is_turned_is_found_as_it_lies(orientation):
    shown = thumbs(6)
    other = np.stack([turned(thumb, orientation) for thumb in shown])
    found = {(c.whole, c.part, c.window, c.orientation) for c in candidates(shown, among=other)}
    assert {(i, i, 0, orientation) for i in range(6)} <= found


def test_a_flat_picture_is_neither_looked_up_nor_found():
    flat = np.full((2, SIDE, SIDE), 127, np.uint8)
    assert not wholes(flat).sketch.any()
    assert len(views(flat).picture) == 0
    assert candidates(np.concatenate([flat, thumbs(1)])) == []


def test_cells_find_what_all_comparisons_find(monkeypatch):
    shown = thumbs(300)
    noisy = shown.astype(int) + np.random.default_rng(1).integers(-8, 9, shown.shape)
    both = np.concatenate([shown, np.clip(noisy, 0, 255).astype(np.uint8)])
    expected = candidates(both)
    monkeypatch.setattr(near, "ONE_CELL", 0)
    index = build_index(*wholes(both))
    assert len(index.ends) == 37  # 1.5 roots of 600
    again = Index.from_bytes(index.to_bytes())
    found = look_up(again, both, np.arange(len(both)), own=True)
    pairs = {frozenset((i, i + 300)) for i in range(300)}
    assert pairs <= {frozenset((c.whole, c.part)) for c in expected}
    assert pairs <= {frozenset((c.whole, c.part)) for c in found}


def test_of_many_copies_a_picture_has_few_partners_and_the_first():
    noise = np.random.default_rng(0).integers(-8, 9, (60, SIDE, SIDE))
    shown = np.clip(thumbs(1).astype(int) + noise, 0, 255).astype(np.uint8)
    found = candidates(shown)
    partners = [[c.part for c in found if c.whole == i] for i in range(60)]
    assert all(near.PARTNERS <= len(one) <= near.PARTNERS + 1 for one in partners)
    assert all(0 in one for one in partners[1:])
