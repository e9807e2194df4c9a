"""Single objects from a map that is high in the middle of each and low between two of them."""

from __future__ import annotations

import numpy as np
from skimage.measure import label
from skimage.morphology import local_maxima
from skimage.segmentation import watershed

_RIGHT = ((slice(None), slice(None, -1)), (slice(None), slice(1, None)))
_DOWN = ((slice(None, -1), slice(None)), (slice(1, None), slice(None)))


def split(mask: np.ndarray, height: np.ndarray, share: float) -> np.ndarray:
    """Pieces of a mask between which the height falls clearly, int32 labels (H, W).

    A watershed from every peak, however faint, cuts too much; pieces whose saddle is nearly as high
    as the lower of their peaks are then joined, the highest saddles first.

    Args:
        mask: bool (H, W), the objects together.
        height: float32 (H, W), 0 or more.
        share: two pieces are one when their saddle reaches this share of the lower peak.
    """
    # Lower than any object, also beyond the border: each piece of the mask has a peak.
    inside = np.pad(np.where(mask, height, -1.0), 1, constant_values=-1.0)
    peaks = local_maxima(inside)[1:-1, 1:-1] & mask
    labels = watershed(-height, label(peaks, connectivity=2), mask=mask, connectivity=2)
    return _join(labels.astype(np.int32), height, share)


def _saddles(labels: np.ndarray, height: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of pieces that touch, int (n, 2), and their saddles, float (n,), highest first."""
    pairs, levels = [], []
    for one, two in (_RIGHT, _DOWN):
        touch = (labels[one] != labels[two]) & (labels[one] > 0) & (labels[two] > 0)
        both = np.stack([labels[one][touch], labels[two][touch]], axis=1)
        pairs.append(np.sort(both, axis=1))
        levels.append(np.minimum(height[one], height[two])[touch])
    every, level = np.concatenate(pairs), np.concatenate(levels)
    order = np.lexsort((every[:, 1], every[:, 0], -level))
    # The first time two pieces are met is where the way between them is highest.
    _, first = np.unique(every[order], axis=0, return_index=True)
    kept = order[np.sort(first)]
    return every[kept], level[kept]


def _join(labels: np.ndarray, height: np.ndarray, share: float) -> np.ndarray:
    peak = np.zeros(int(labels.max()) + 1, height.dtype)
    np.maximum.at(peak, labels.ravel(), height.ravel())
    root = list(range(len(peak)))

    def owner(piece: int) -> int:
        while root[piece] != piece:
            root[piece] = root[root[piece]]
            piece = root[piece]
        return piece

    for pair, saddle in zip(*_saddles(labels, height), strict=True):
        one, two = sorted(owner(int(piece)) for piece in pair)
        if one != two and saddle >= share * min(peak[one], peak[two]):
            root[two] = one
            peak[one] = max(peak[one], peak[two])
    return np.array([owner(piece) for piece in range(len(root))], np.int32)[labels]
