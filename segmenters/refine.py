"""Redraw candidates from their boxes with SAM or MedSAM, and note how far both agree."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from miner.core.masks import bbox
from segmenters.config import RefineConfig
from segmenters.ensemble import iou
from segmenters.protocol import Candidate
from segmenters.sam import SamBoxes, SamFeatures, label_map


class Refiner:
    """Gives candidates the score `refine_iou`, and SAM's masks where configured.

    Args:
        config: model, whether to replace, most boxes.

    Raises:
        Refused: no such model, or not all of its weights.
    """

    def __init__(self, config: RefineConfig):
        self.sam = SamBoxes(config.model, "refine.model", config.device)
        self.replace = config.replace
        self.max_boxes = config.max_boxes

    def __call__(
        self, image: np.ndarray, answers: Sequence[Sequence[Candidate]]
    ) -> list[list[Candidate]]:
        """Redraw the candidates of one picture, encoded once and only if there are any.

        Args:
            image: uint8 (H, W, 3).
            answers: candidates per segmenter.
        """
        features: SamFeatures | None = None
        result = []
        for own in answers:
            row = []
            for candidate in own:
                boxes = _boxes(candidate)
                if 0 < len(boxes) <= self.max_boxes and not candidate.trusted:
                    features = features or self.sam.encode(image)
                    candidate = self._redrawn(candidate, features, boxes)
                row.append(candidate)
            result.append(row)
        return result

    def _redrawn(self, candidate: Candidate, features: SamFeatures, boxes: np.ndarray) -> Candidate:
        probs, quality = self.sam.masks(features, boxes)
        labels = label_map(probs >= 0.5, quality)
        mask = labels > 0
        scores = {**candidate.scores, "refine_iou": iou(candidate.mask, mask)}
        if not self.replace or not mask.any():
            return dataclasses.replace(candidate, scores=scores)
        own = labels if candidate.labels is not None else None
        return dataclasses.replace(candidate, mask=mask, labels=own, scores=scores)


def _boxes(candidate: Candidate) -> np.ndarray:
    """Boxes of a candidate's objects, or of its mask: float (n, 4), x1, y1, x2, y2."""
    if candidate.mask is None or not candidate.mask.any():
        return np.zeros((0, 4))
    if candidate.labels is None:
        return np.array([bbox(candidate.mask)], float)
    places = [place for place in ndimage.find_objects(candidate.labels) if place is not None]
    return np.array([[x.start, y.start, x.stop, y.stop] for y, x in places], float)
