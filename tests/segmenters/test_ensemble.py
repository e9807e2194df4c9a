"""Agreement between masks."""

import numpy as np

from segmenters.ensemble import iou, mean_pairwise_iou, with_agreement
from segmenters.protocol import Candidate


def mask(a, b):
    m = np.zeros((1, 10), bool)
    m[0, a:b] = True
    return m


def test_iou():
    assert iou(mask(0, 4), mask(2, 6)) == 2 / 6
    assert iou(mask(0, 0), mask(0, 0)) == 0
    assert iou(None, mask(0, 4)) == 0
    assert np.isclose(mean_pairwise_iou([mask(0, 4), mask(0, 4), mask(2, 6)]), (1 + 2 / 6 * 2) / 3)


def test_agreement_counts_only_segmenters_that_know_the_concept():
    one = [Candidate("a", "a", mask(0, 4)), Candidate("b", "b", mask(0, 4))]
    two = [Candidate("a", "a", mask(2, 6)), Candidate("b", "b", None, reason="unsupported")]
    three = [
        Candidate("a", "a", None, reason="empty"),
        Candidate("b", "b", None, reason="failed:X"),
    ]
    first, second, third = with_agreement([one, two, three])
    assert np.isclose(first[0].scores["ensemble_iou"], 2 / 6 / 2)
    assert np.isclose(second[0].scores["ensemble_iou"], 2 / 6 / 2)
    assert "ensemble_iou" not in first[1].scores
    assert "ensemble_iou" not in third[0].scores
