"""Kolmogorov-Smirnov statistics of samples and stored distributions, and conformal p-values."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np


def statistic(ascending: np.ndarray, quantiles: np.ndarray) -> float:
    """D between a sample and a reference given by its quantiles.

    Args:
        ascending: float (n,), sorted.
        quantiles: float (k,), ascending, at levels 0, 1/(k-1), .., 1.
    """
    above = _steps(len(ascending))
    reference = np.interp(ascending, quantiles, _steps(len(quantiles) - 1))
    return float(max((above[1:] - reference).max(), (reference - above[:-1]).max()))


def two_sample(first: np.ndarray, second: np.ndarray) -> float:
    """D of two sorted samples, float (n,) and (m,): the number of `scipy.stats.ks_2samp`."""
    both = np.concatenate([first, second])
    difference = np.searchsorted(first, both, side="right") / len(first)
    difference -= np.searchsorted(second, both, side="right") / len(second)
    return float(np.abs(difference).max())


def conformal(d: float, heldout: Sequence[float] | np.ndarray) -> float:
    """Conformal p of a statistic among those of held-out correct regions, ascending (n,)."""
    above = len(heldout) - int(np.searchsorted(heldout, d, side="left"))
    return (1 + above) / (len(heldout) + 1)


class Table:
    """Many references, compared with one sample at once: the numbers of `statistic`.

    Between the quantiles of all references together every reference is linear, so the sample is
    looked up once a feature instead of once a reference.

    Args:
        quantiles: float (r, f, k), ascending along the last axis, of r references.
    """

    def __init__(self, quantiles: np.ndarray):
        levels = _steps(quantiles.shape[2] - 1)
        self._knots, self._lower, self._slope = [], [], []
        for feature in quantiles.transpose(1, 0, 2):
            knots = np.unique(feature)
            # Equal quantiles are a jump: from the right it ends there, from the left it begins.
            right = np.stack([np.interp(knots, q, levels) for q in feature], axis=1)
            left = np.stack([1 - np.interp(-knots, -q[::-1], levels) for q in feature], axis=1)
            width = np.diff(knots, append=np.inf)[:, None]
            rise = np.concatenate([left[1:] - right[:-1], np.zeros((1, len(feature)))])
            self._knots.append(knots)
            self._lower.append(np.concatenate([np.zeros((1, len(feature))), right]))
            self._slope.append(np.concatenate([np.zeros((1, len(feature))), rise / width]))

    def d(self, sample: np.ndarray) -> np.ndarray:
        """D against every reference, float64 (r, f), of a sample float (f, n), rows ascending."""
        above = _steps(sample.shape[1])[:, None]
        out = np.empty((self._lower[0].shape[1], len(sample)))
        for i, row in enumerate(sample):
            place = np.searchsorted(self._knots[i], row, side="right")
            offset = row - self._knots[i][np.maximum(place - 1, 0)]
            reference = self._lower[i][place] + self._slope[i][place] * offset[:, None]
            over = (above[1:] - reference).max(axis=0)
            out[:, i] = np.maximum(over, (reference - above[:-1]).max(axis=0))
        return out


@functools.lru_cache(maxsize=1024)
def _steps(n: int) -> np.ndarray:
    """0, 1/n, .., 1."""
    return np.arange(n + 1) / n
