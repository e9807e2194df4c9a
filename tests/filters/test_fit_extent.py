"""What a fit makes of known answers: bounds that hold, steps that doubt, absence at even odds."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from filters.calibration.fit_extent import (
    _bounds,
    _map,
    _quantiles,
    fit_presence,
    presence_of,
    ridge,
)
from filters.calibration.labelled import Truth
from filters.calibration.survey import measured
from filters.extent import FOUND_NOTHING


def test_presence_counts_pictures_with_and_without_it_as_equally_many() -> None:
    # Found in 8 of 10 pictures that show it, and in 9 of 90 that do not.
    logit = np.array([3.0] * 8 + [FOUND_NOTHING] * 2 + [3.0] * 9 + [FOUND_NOTHING] * 81)
    there = np.array([True] * 10 + [False] * 90)
    found = presence_of(logit, there, np.ones(100))
    # Nothing found: .2 / (.2 + .9); found: .8 / (.8 + .1).
    assert np.interp([FOUND_NOTHING, 3.0], found.x, found.y) == pytest.approx([2 / 11, 8 / 9])
    assert (found.present, found.absent) == (10, 90)


def test_nothing_is_certain_after_few_pictures() -> None:
    logit = np.array([3.0] * 8 + [FOUND_NOTHING] * 8)
    found = presence_of(logit, logit > 0, np.ones(16))
    assert np.interp([FOUND_NOTHING, 3.0], found.x, found.y) == pytest.approx([0.1, 0.9])


def test_every_step_counts_one_mask_that_is_not_all() -> None:
    logit = np.array([0.0] * 10 + [5.0] * 19)
    whole = np.array([False] * 8 + [True] * 2 + [True] * 19)
    found = _map(logit, whole, np.ones(29))
    assert found.probability(np.array([0.0, 5.0])) == pytest.approx([2 / 11, 19 / 20])


def test_bounds_hold_on_both_kinds_of_picture() -> None:
    narrow, wide = np.linspace(-1, 1, 40), np.linspace(-3, 2, 40)
    off = np.concatenate([narrow, wide])
    real = np.array([True] * 40 + [False] * 40)
    assert _bounds(off, np.ones(80, bool), real) == (-3, 2)
    assert _bounds(off, real, real) == (-1, 1)
    assert _bounds(off[:10], np.ones(10, bool), real[:10]) is None  # too few
    # 2% below and 1% above, of 201 with the next one: the fourth and the 199th of 200.
    assert _quantiles(np.arange(200.0)) == (3.0, 198.0)


def test_ridge_leaves_the_intercept_free() -> None:
    x = np.column_stack([np.zeros(50), np.ones(50)])
    assert ridge(x, np.full(50, 7.0), np.ones(50)) == pytest.approx([0, 7], abs=1e-3)


def test_what_a_mask_has_of_the_truth() -> None:
    labels = np.zeros((10, 10), np.int32)
    labels[0:4, 0:4], labels[6:10, 0:4], labels[6:10, 6:10] = 1, 2, 3
    mask = labels == 1
    mask[6:8, 0:4] = True  # half of the second
    found = measured(Truth(labels, True), mask, mask.astype(np.int32))
    assert found["recall"] == pytest.approx(24 / 48)
    assert found["reached"] == pytest.approx(2 / 3)
    assert (found["true"], found["found"], found["present"]) == (3, 1, True)
    unknown = labels == 3
    assert measured(Truth(labels, True, unknown), mask, None)["true"] == 2
    nothing = measured(Truth(labels, True), None, None)
    assert (nothing["recall"], nothing["found"], nothing["present"]) == (0, 0, True)
    assert measured(None, mask, None)["present"] is False


def test_how_often_a_concept_is_missed_is_told_of_it_alone() -> None:
    # Cells: nuclei are always found, lymphocytes in 4 of 10 pictures; neither where it is not.
    asked = ["nucleus"] * 30 + ["lymphocyte"] * 10 + ["mitotic figure"] * 30
    there = [True] * 40 + [False] * 30
    drawn = [True] * 30 + [True] * 4 + [False] * 6 + [False] * 30
    table = pa.table(
        {
            "asked": asked,
            "present": there,
            "area_px": [50 if one else None for one in drawn],
            "source": ["phantoms"] * 70,
        }
    )
    masks = pa.table({"score": [0.9] * sum(drawn)})
    found = fit_presence(table, masks)
    nothing = {name: np.interp(FOUND_NOTHING, one.x, one.y) for name, one in found.items()}
    assert nothing["lymphocyte"] == pytest.approx(0.6 / 1.6)
    assert nothing["nucleus"] < 0.05
    assert "mitotic figure" not in found  # shown by no picture
