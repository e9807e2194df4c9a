"""Single objects held against an expert's: panoptic quality and the aggregated Jaccard index."""

from __future__ import annotations

import dataclasses

import numpy as np

MATCH_IOU = 0.5  # above it a match is unique (A. Kirillov et al., CVPR 2019)


@dataclasses.dataclass(frozen=True)
class Matched:
    """Sums of one picture, from which both figures follow for any number of pictures.

    Attributes:
        hits: mined objects with an IoU above .5 with an expert's.
        mined: mined objects.
        outlined: the expert's objects.
        iou: sum over the hits.
        intersection: px, over the expert's objects with the mined one most like each.
        union: px, of the same pairs, and of all mined objects that are in no pair.
    """

    hits: int
    mined: int
    outlined: int
    iou: float
    intersection: int
    union: int


def match(mined: np.ndarray, truth: np.ndarray) -> Matched:
    """Match the objects of two label maps.

    Args:
        mined: int (H, W), 0 background.
        truth: int (H, W), 0 background.
    """
    both, of_mined, of_truth = _overlaps(mined, truth)
    either = of_mined[:, None] + of_truth[None] - both
    iou = both / np.maximum(either, 1)
    hit = iou > MATCH_IOU
    intersection, union = 0, 0
    used = np.zeros(len(of_mined), bool)
    for j in range(len(of_truth)):
        i = int(iou[:, j].argmax()) if len(of_mined) else -1
        if i < 0 or both[i, j] == 0:
            union += int(of_truth[j])  # nobody drew it
            continue
        used[i] = True
        intersection += int(both[i, j])
        union += int(either[i, j])
    union += int(of_mined[~used].sum())
    return Matched(
        int(hit.sum()), len(of_mined), len(of_truth), float(iou[hit].sum()), intersection, union
    )


def hit_ious(mined: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """IoU of every pair above .5, float64 (hits,); no object is in two such.

    Args:
        mined: int (H, W), 0 background.
        truth: int (H, W), 0 background.
    """
    both, of_mined, of_truth = _overlaps(mined, truth)
    iou = both / np.maximum(of_mined[:, None] + of_truth[None] - both, 1)
    return iou[iou > MATCH_IOU]


def _overlaps(mined: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixels in common, int64 (m, t), and of each object, (m,) and (t,)."""
    (ours, m), (theirs, t) = _numbered(mined), _numbered(truth)
    # Counting pairs is linear; sorting them took most of the time of an evaluation.
    pairs = np.bincount(ours * (t + 1) + theirs, minlength=(m + 1) * (t + 1))
    table = pairs.reshape(m + 1, t + 1)
    return table[1:, 1:], table.sum(1)[1:], table.sum(0)[1:]


def _numbered(labels: np.ndarray) -> tuple[np.ndarray, int]:
    """Labels as 0..n without gaps, int64 (H * W,), and n."""
    flat = labels.ravel().astype(np.int64)
    there = np.bincount(flat, minlength=1) > 0
    there[0] = False
    number = np.cumsum(there) * there
    return number[flat], int(there.sum())
