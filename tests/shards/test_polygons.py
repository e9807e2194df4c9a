"""Polygons along pixel edges are exact."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as coco

from shards.polygons import polygons, rings


def filled(polygon: list[int], height: int, width: int) -> np.ndarray:
    return coco.decode(coco.frPyObjects([polygon], height, width))[:, :, 0]


@settings(max_examples=150, deadline=None, database=None, derandomize=True)
@given(
    st.tuples(st.integers(1, 9), st.integers(1, 9)).flatmap(
        lambda shape: arrays(bool, shape, elements=st.booleans())
    )
)
def test_parts_add_up_to_the_mask(mask: np.ndarray) -> None:
    total = np.zeros(mask.shape, int)
    for polygon in polygons(mask):
        assert len(polygon) >= 8
        total += filled(polygon, *mask.shape)
    assert np.array_equal(total, mask)


def area(ring: list[tuple[int, int]]) -> float:
    xs, ys = np.array([*ring, ring[0]]).T
    return float((xs[:-1] * ys[1:] - xs[1:] * ys[:-1]).sum()) / 2


def test_holes_are_told_from_outlines() -> None:
    mask = np.ones((5, 6), bool)
    mask[1, 1] = mask[2:4, 3] = False
    ((outer, holes),) = rings(mask)
    assert abs(area(outer)) == 30
    assert sorted(abs(area(h)) for h in holes) == [1, 2]


def test_diagonal_pixels_are_two_parts() -> None:
    mask = np.eye(3, dtype=bool)
    assert [abs(area(outer)) for outer, _ in rings(mask)] == [1, 1, 1]


def test_empty_mask_has_no_polygon() -> None:
    assert polygons(np.zeros((4, 4), bool)) == []
