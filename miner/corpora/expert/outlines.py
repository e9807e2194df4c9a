"""Polygons to label maps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import cv2
import numpy as np

from miner.corpora.expert.tile import noted

_LEAST_POINTS = 3


def drawn(
    polygons: Sequence[np.ndarray], size: tuple[int, int]
) -> tuple[np.ndarray, list[int], tuple[str, ...]]:
    """Label map of polygons.

    An outline that does not return to its first point is closed; one that crosses itself is filled
    by the even-odd rule. Where two overlap, the pixels are those of the first.

    Args:
        polygons: float (k, 2) each, x and y in px; None-like ones have too few points.
        size: height and width.

    Returns:
        int32 (H, W) with ids 1..n, which polygon each id is, and notes on those that are bad.
    """
    height, width = size
    labels = np.zeros(size, np.int32)
    kept: list[int] = []
    faults: Counter[str] = Counter()
    for i, points in enumerate(polygons):
        if len(points) < _LEAST_POINTS or not np.isfinite(points).all():
            faults["too_few_points"] += 1
            continue
        corner = np.maximum(np.floor(points.min(axis=0)).astype(int), 0)
        end = np.minimum(np.ceil(points.max(axis=0)).astype(int) + 1, (width, height))
        if (end <= corner).any():
            faults["outside_picture"] += 1
            continue
        faults["crossing_outlines"] += crosses(points)
        patch = np.zeros((end[1] - corner[1], end[0] - corner[0]), np.uint8)
        cv2.fillPoly(patch, [np.round(points - corner).astype(np.int32)], (1,))
        place = labels[corner[1] : end[1], corner[0] : end[0]]
        inside = patch > 0
        free = inside & (place == 0)
        faults["overlapping_px"] += int(np.count_nonzero(inside & (place > 0)))
        if not free.any():
            faults["hidden_outlines"] += 1
            continue
        kept.append(i)
        place[free] = len(kept)
    return labels, kept, noted(**faults)


def crosses(points: np.ndarray) -> bool:
    """Whether the outline through these points, float (k, 2), crosses itself.

    Proper crossings alone count: edges that meet in a point, or run along each other, do not.
    """
    ends = np.roll(points, -1, axis=0)

    def side(of: np.ndarray) -> np.ndarray:
        """On which side of each edge (rows) each point (columns) lies."""
        along = (ends - points)[:, None, :]
        to = of[None, :, :] - points[:, None, :]
        return np.sign(along[..., 0] * to[..., 1] - along[..., 1] * to[..., 0])

    parted = side(points) * side(ends) < 0
    return bool((parted & parted.T).any())
