"""How far masks agree: between wordings, scales, and segmenters."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np

from segmenters.protocol import Candidate


def iou(a: np.ndarray | None, b: np.ndarray | None) -> float:
    """Intersection over union of two masks, bool (H, W); 0 when both are empty or missing.

    Two empty masks are no agreement on where something is.
    """
    if a is None or b is None:
        return 0.0
    union = np.count_nonzero(a | b)
    return np.count_nonzero(a & b) / union if union else 0.0


def mean_pairwise_iou(masks: Sequence[np.ndarray]) -> float:
    """Mean IoU over all pairs of at least two masks."""
    return float(np.mean([iou(a, b) for a, b in itertools.combinations(masks, 2)]))


def with_agreement(answers: Sequence[Sequence[Candidate]]) -> list[list[Candidate]]:
    """Give every candidate the score `ensemble_iou`.

    It is the mean IoU with the masks that other segmenters have for the same prompt. A segmenter
    that knows the concept and finds nothing counts as an IoU of 0; one that does not know it
    does not count.

    Args:
        answers: per segmenter one candidate per prompt, the prompts in the same order.
    """
    result = []
    for i, own in enumerate(answers):
        row = []
        for p, candidate in enumerate(own):
            others = [
                other[p]
                for j, other in enumerate(answers)
                if j != i and other[p].reason in (None, "empty")
            ]
            if candidate.mask is not None and candidate.mask.any() and others:
                mean = float(np.mean([iou(candidate.mask, other.mask) for other in others]))
                scores = {**candidate.scores, "ensemble_iou": mean}
                candidate = dataclasses.replace(candidate, scores=scores)
            row.append(candidate)
        result.append(row)
    return result
