"""Confidence: the probability that a mask has an IoU of .5 or more, fitted per concept."""

from __future__ import annotations

import functools
import importlib.resources
import json
from collections.abc import Mapping

import numpy as np

# What the probability is read from; a segmenter gives all of them with each mask.
FEATURES = ("promise", "agreement", "extent", "objects", "estimated")
# Concepts whose truth was only ever drawn stay below this.
DRAWN_CEILING = 0.6
# And those with too few masks to tell below this.
FEW_CEILING = 0.5


def features(scores: Mapping[str, float]) -> np.ndarray:
    """Feature vector of a mask, float64 (5,), roughly -3..3.

    Args:
        scores: `expected_iou`, `agreement` (IoU of the two segmenters, 0..1), `area_fraction`,
            `objects` and `mpp_estimated`.
    """
    promise = float(np.clip(scores["expected_iou"], 0.01, 0.99))
    return np.array(
        [
            np.log(promise / (1 - promise)),
            2 * scores["agreement"] - 1,
            np.log10(max(scores["area_fraction"], 1e-5)) + 2,
            np.log10(1 + scores["objects"]) - 1,
            scores["mpp_estimated"],
        ]
    )


@functools.cache
def _models() -> Mapping[str, Mapping]:
    source = importlib.resources.files("segmenters") / "data" / "confidence.json"
    if not source.is_file():
        return {}
    return json.loads(source.read_text(encoding="utf-8"))


def confidence(concept: str, scores: Mapping[str, float]) -> float:
    """Probability that the mask has an IoU of .5 or more with the truth, 0..1.

    A concept without any mask at the fit takes the one over all concepts.

    Args:
        concept: a key of `segmenters.routes.ROUTES`.
        scores: see `features`.
    """
    models = _models()
    model = models.get(concept) or models.get("any")
    if model is None:
        return 0.5 * float(scores["expected_iou"])
    score = float(features(scores) @ np.array(model["weights"])) + model["bias"]
    value = 1 / (1 + float(np.exp(-np.clip(score, -30, 30))))
    if concept not in models or model["few"]:
        return min(value, FEW_CEILING)
    return min(value, DRAWN_CEILING) if model["drawn_only"] else value
