"""From probability to regions."""

import numpy as np
import pytest

from segmenters.probability import RegionConfig, split_objects, to_region

NOTHING = RegionConfig(min_area_um2=0, max_hole_um2=0)


def disc(shape, cy, cx, r):
    y, x = np.mgrid[: shape[0], : shape[1]]
    return (y - cy) ** 2 + (x - cx) ** 2 < r**2


def test_threshold_is_inclusive():
    prob = np.array([[0.5, 0.49], [0.2, 0.9]])
    mask, labels = to_region(prob, "stuff", NOTHING, 1.0)
    assert mask.tolist() == [[True, False], [False, True]]
    assert labels is None


def test_specks_and_holes_go_by_physical_size():
    prob = disc((100, 100), 50, 50, 30).astype(float)
    prob[50:52, 50:52] = 0  # a hole of 4 px
    prob[5:7, 5:7] = 1  # a speck of 4 px
    config = RegionConfig(min_area_um2=3, max_hole_um2=3)
    fine, _ = to_region(prob, "stuff", config, 0.5)  # 4 px are 1 um2
    coarse, _ = to_region(prob, "stuff", config, 1.0)  # 4 px are 4 um2
    assert (fine == disc((100, 100), 50, 50, 30)).all()
    assert (coarse == (prob > 0)).all()


def test_objects_smaller_than_a_quarter_of_the_smallest_are_specks():
    prob = (disc((60, 60), 20, 20, 2) | disc((60, 60), 40, 40, 8)).astype(float)
    mask, labels = to_region(prob, "object", NOTHING, 0.5, size_um=(5, 10))
    assert labels.max() == 1
    assert not mask[20, 20]
    as_stuff, _ = to_region(prob, "stuff", NOTHING, 0.5, size_um=(5, 10))
    assert as_stuff[20, 20]


def test_touching_objects_are_split_and_labels_cover_the_mask():
    two = disc((60, 100), 30, 35, 16) | disc((60, 100), 30, 62, 16)
    prob = two * 0.9
    mask, labels = to_region(prob, "object", NOTHING, 0.5, size_um=(8, 16))
    assert ((labels > 0) == mask).all()
    assert sorted(np.unique(labels)) == [0, 1, 2]
    assert labels[30, 30] != labels[30, 68]


def test_a_valley_of_probability_splits_where_shape_does_not():
    mask = np.zeros((40, 120), bool)
    mask[10:30, 10:110] = True
    prob = mask * 0.9
    prob[:, 56:64] = mask[:, 56:64] * 0.5
    labels = split_objects(mask, prob, 60.0)
    assert labels[20, 30] != labels[20, 90]


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_empty_and_full_maps(value):
    prob = np.full((30, 30), value)
    mask, labels = to_region(prob, "object", RegionConfig(), None, (4, 20))
    assert mask.all() == bool(value)
    assert ((labels > 0) == mask).all()


def test_smoothing_removes_salt():
    prob = np.zeros((50, 50))
    prob[10, 10] = 1
    prob[20:40, 20:40] = 1
    mask, _ = to_region(prob, "stuff", RegionConfig(smooth_um=1, min_area_um2=0), 0.5)
    assert not mask[10, 10]
    assert mask[30, 30]
