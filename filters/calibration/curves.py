"""From log odds to probabilities, and what thresholds on them give: isotonic map, curves, AUROC."""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy.optimize import isotonic_regression

from filters.decision import Calibration

CURVE = 200  # points of a precision curve
# Masks of even odds that every pool has beside its own: pools are chosen to look apart, and small
# ones at the ends look surer than they are. Cross-fitted on tiles kept apart, with 0, 1 and 2, the
# share of wrong masks at fdr=.1 was .12, .09 and .07 on real ones, .13, .10 and .09 on phantoms.
EVEN = 1.0
BINS = 10  # of a reliability curve


def isotonic(
    x: np.ndarray, y: np.ndarray, weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weighted monotone regression by pooling adjacent violators.

    Args:
        x: float64 (n,).
        y: float64 (n,).
        weight: float64 (n,), positive.

    Returns:
        Mean x and mean y of every pool, both ascending, and its weight, float64 (k,) each.
    """
    order = np.argsort(x, kind="stable")
    fit = isotonic_regression(y[order], weights=weight[order])
    starts = fit.blocks[:-1]
    size = np.add.reduceat(weight[order], starts)
    return np.add.reduceat((weight * x)[order], starts) / size, fit.x[starts], size


def calibrate(logit: np.ndarray, right: np.ndarray, weight: np.ndarray) -> Calibration:
    """Map log odds to probabilities and list what every threshold gives.

    Probabilities keep away from 0 and 1: nothing is certain after n masks. The precision of a
    threshold is what they say of the masks at or above it: counted instead, a single wrong mask
    among the best of a concept hides that the threshold holds.

    Args:
        logit: float64 (n,), cross-fitted.
        right: bool (n,).
        weight: float64 (n,), how many masks of a run each stands for.
    """
    x, y, size = isotonic(logit, right.astype(float), weight)
    y = np.maximum.accumulate((y * size + EVEN / 2) / (size + EVEN))
    n = float(weight.sum())
    y = np.clip(y, 1 / (n + 2), 1 - 1 / (n + 2))
    # Beyond the mean of the last pool half of its doubt is left at the far end: a flat end would
    # give its best and its worst mask one score.
    low, high = float(logit.min()), float(logit.max())
    ends = [(low, y[0] / 2)] if low < x[0] else []
    tail = [(high, 1 - (1 - y[-1]) / 2)] if high > x[-1] else []
    points = [*ends, *zip(x, y, strict=True), *tail]
    x, y = (np.array(values, float) for values in zip(*points, strict=True))
    probability = np.interp(logit, x, y)
    order = np.argsort(-probability, kind="stable")
    ranked = probability[order]
    good = np.cumsum((weight * right)[order])
    bad = np.cumsum((weight * ~right)[order])
    last = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    if len(last) > CURVE:
        last = last[np.unique(np.linspace(0, len(last) - 1, CURVE).astype(int))]
    expected = np.cumsum(weight[order] * ranked) / np.cumsum(weight[order])
    return Calibration(
        x=x,
        y=y,
        threshold=ranked[last],
        precision=expected[last],
        kept=good[last] / max(float(good[-1]), 1e-9),
        leaked=bad[last] / max(float(bad[-1]), 1e-9),
        predicted=np.empty(0),
        observed=np.empty(0),
        count=np.empty(0),
        right=int(right.sum()),
        wrong=int((~right).sum()),
    )


def with_bins(
    one: Calibration, probability: np.ndarray, right: np.ndarray, weight: np.ndarray
) -> Calibration:
    """Add how probabilities of held-out masks compare with what they turned out to be.

    Args:
        one: the calibration.
        probability: float64 (n,), held out.
        right: bool (n,).
        weight: float64 (n,), how many masks of a run each stands for.
    """
    bins = np.minimum((probability * BINS).astype(int), BINS - 1)
    count = np.bincount(bins, weight, BINS)
    filled = count > 0
    return dataclasses.replace(
        one,
        predicted=np.bincount(bins, weight * probability, BINS)[filled] / count[filled],
        observed=np.bincount(bins, weight * right, BINS)[filled] / count[filled],
        count=count[filled],
    )


def auroc(score: np.ndarray, right: np.ndarray) -> float:
    """Area under the ROC curve, ties counted half; NaN with one class."""
    good, bad = score[right], np.sort(score[~right])
    if not len(good) or not len(bad):
        return float("nan")
    below = np.searchsorted(bad, good, side="left")
    at = np.searchsorted(bad, good, side="right") - below
    return float((below + at / 2).mean() / len(bad))
