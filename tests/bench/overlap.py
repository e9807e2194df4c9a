"""How well masks and objects agree with truth."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree


def dice(found: np.ndarray, truth: np.ndarray) -> float:
    """Dice of two masks, bool (H, W); 1 where both are empty."""
    total = int(found.sum()) + int(truth.sum())
    return 2 * int((found & truth).sum()) / total if total else 1.0


def iou(found: np.ndarray, truth: np.ndarray) -> float:
    """Intersection over union of two masks, bool (H, W); 1 where both are empty."""
    union = int((found | truth).sum())
    return int((found & truth).sum()) / union if union else 1.0


def matches(found: np.ndarray, truth: np.ndarray, at_least: float = 0.5) -> tuple[int, int, int]:
    """True positives, found and true objects; an IoU of .5 or more makes pairs unique.

    Args:
        found: int (H, W), 0 background.
        truth: int (H, W), 0 background.
        at_least: IoU from which two objects match.
    """
    n, m = int(found.max()) + 1, int(truth.max()) + 1
    table = np.bincount((found.astype(np.int64) * m + truth).ravel(), minlength=n * m)
    table = table.reshape(n, m)
    union = table.sum(axis=1, keepdims=True) + table.sum(axis=0, keepdims=True) - table
    overlap = (table / np.maximum(union, 1))[1:, 1:]
    present = int((table.sum(axis=1)[1:] > 0).sum()), int((table.sum(axis=0)[1:] > 0).sum())
    return int((overlap >= at_least).sum()), *present


def object_f1(counts: list[tuple[int, int, int]]) -> float:
    """F1 over (hits, found, true) of several tiles."""
    hits, found, true = (sum(c[i] for c in counts) for i in range(3))
    return 2 * hits / (found + true) if found + true else float("nan")


def detections(
    found: np.ndarray, truth: np.ndarray, other: np.ndarray, reach_px: float
) -> tuple[int, int, int]:
    """Hits, found and true objects by place, found ones counted where something is outlined.

    A found object whose centre lies near no outlined object (of this or another kind) counts
    nothing: the truth is not exhaustive there.

    Args:
        found: int (H, W), objects of the kind.
        truth: int (H, W), true objects of the kind.
        other: int (H, W), true objects of other kinds.
        reach_px: centres match within this distance.
    """
    places = [_centres(x) for x in (found, truth, other)]
    if not len(places[0]) or not len(places[1]):
        near = _near(places[0], places[2], reach_px)
        return 0, int(near.sum()), len(places[1])
    pairs = cKDTree(places[0]).sparse_distance_matrix(
        cKDTree(places[1]), reach_px, output_type="coo_matrix"
    )
    hits, used, taken = 0, set(), set()
    for k in np.lexsort((pairs.col, pairs.row, pairs.data)):
        if pairs.row[k] not in used and pairs.col[k] not in taken:
            used.add(pairs.row[k])
            taken.add(pairs.col[k])
            hits += 1
    wrong = _near(places[0], places[2], reach_px) | _near(places[0], places[1], reach_px)
    wrong[sorted(used)] = False
    return hits, hits + int(wrong.sum()), len(places[1])


def _centres(labels: np.ndarray) -> np.ndarray:
    ys, xs = np.nonzero(labels)
    values = labels[ys, xs]
    area = np.bincount(values)
    keep = area > 0
    y = np.bincount(values, weights=ys)[keep] / area[keep]
    x = np.bincount(values, weights=xs)[keep] / area[keep]
    return np.stack([y, x], axis=1)


def _near(places: np.ndarray, others: np.ndarray, reach_px: float) -> np.ndarray:
    if not len(places) or not len(others):
        return np.zeros(len(places), bool)
    distance, _ = cKDTree(others).query(places)
    return distance <= reach_px
