"""Kinds of nuclei: what the network says of their pixels, their shape and their neighbours."""

from __future__ import annotations

import functools
import json
import pathlib
from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from scipy.spatial import cKDTree

from segmenters.stain import shape
from segmenters.unet.outputs import NUCLEI

KINDS = NUCLEI.softmax
MODEL = pathlib.Path(__file__).parent / "weights" / "kinds.json"
# Neighbours whose mean is a feature, too: kinds come in company.
NEIGHBOURS = 6
# What the tissue and the network of kinds count against the nucleus. Object F1 of lymphocytes,
# stromal and epithelial nuclei of brca_m2c kept apart, at (.5, 0): .685, .416, .588, with the scale
# hidden .674, .387, .630; at (.25, 1) .707, .426, .598 and .697, .405, .644; at (.25, 2) .709,
# .425, .597 and .704, .402, .648; by the network alone .712, .410, .602 and .691, .374, .647.
WIDE_WEIGHT, FINE_WEIGHT = 0.25, 1.0


def features(
    labels: np.ndarray, maps: Mapping[str, np.ndarray], density: np.ndarray, mpp: float
) -> np.ndarray:
    """What tells kinds apart, float32 (n, 33), one row per nucleus in label order.

    Args:
        labels: int32 (H, W), 1..n.
        maps: maps of the nuclear network, float32 (H, W) each.
        density: float32 (H, W, 3), optical density.
        mpp: um per pixel.
    """
    shapes = shape.measure(labels)
    n = len(shapes.area)
    if not n:
        return np.zeros((0, 33), np.float32)
    inside, area = np.flatnonzero(labels), shapes.area
    names = labels.ravel()[inside]

    def mean(values: np.ndarray) -> np.ndarray:
        return np.bincount(names, weights=values.ravel()[inside], minlength=n + 1)[1:] / area

    red, green, blue = (mean(density[..., c]) for c in range(3))
    deviation = np.sqrt(np.maximum(mean(density[..., 0] ** 2) - red**2, 0))
    places = np.stack([shapes.y, shapes.x], axis=1) * mpp
    tree = cKDTree(places)
    count = min(NEIGHBOURS + 1, n)
    distance, index = tree.query(places, k=[*range(1, count + 1)])
    # Nothing relative to the whole tile: where all are of one kind, none stands out.
    single = np.stack(
        [
            np.log(area * mpp**2) - 4,
            np.log(shapes.major / shapes.minor),
            red,
            deviation / np.maximum(red, 0.05),
            green / np.maximum(red, 0.05) - 1,
            blue / np.maximum(red, 0.05),
            mean(maps["nucleus"]) - 0.8,
            mean(maps["centre"]) - 0.5,
            *(2 * mean(maps[name]) for name in KINDS),
            np.log(1 + tree.query_ball_point(places, 20.0, return_length=True)) - 2,
            np.log(distance[:, min(1, count - 1)] + 1) - 2,
        ],
        axis=1,
    )
    around = single[index[:, 1:]].mean(axis=1) if count > 1 else np.zeros_like(single)
    spread = single[index[:, 1:], :3].std(axis=1) if count > 1 else np.zeros((n, 3))
    return np.concatenate([single, around, spread], axis=1).astype(np.float32)


def within(labels: np.ndarray, maps: Sequence[np.ndarray]) -> np.ndarray:
    """Mean of maps of another scale inside every nucleus, float32 (n, k).

    Args:
        labels: int32 (H, W), 1..n.
        maps: float32 (h, w) each.
    """
    inside = np.flatnonzero(labels)
    names = labels.ravel()[inside]
    area = np.maximum(np.bincount(names)[1:], 1)
    size = labels.shape[::-1]
    columns = [
        np.bincount(names, weights=cv2.resize(m, size).ravel()[inside])[1:] / area for m in maps
    ]
    return np.stack(columns, axis=1).astype(np.float32)


def together(near: np.ndarray, wide: np.ndarray, fine: np.ndarray) -> np.ndarray:
    """Kinds by the nucleus itself, by the tissue it lies in and by the network of kinds.

    The sum of their logarithms, over that of their weights: three that agree are not three times as
    sure.

    Args:
        near: float32 (n, 5), probabilities by `classify`.
        wide: float32 (n, 5), means of the maps of the network of regions.
        fine: float32 (n, 5), means of the maps of the network of kinds.

    Returns:
        float32 (n, 5), probabilities.
    """
    score = np.log(near + 1e-4) + WIDE_WEIGHT * np.log(wide + 1e-2)
    score = (score + FINE_WEIGHT * np.log(fine + 1e-2)) / (1 + WIDE_WEIGHT + FINE_WEIGHT)
    power = np.exp(score - score.max(axis=1, keepdims=True))
    return (power / power.sum(axis=1, keepdims=True)).astype(np.float32)


@functools.cache
def _model() -> Mapping[str, np.ndarray]:
    stored = json.loads(MODEL.read_text(encoding="utf-8"))
    return {name: np.array(values, np.float32) for name, values in stored.items()}


def classify(rows: np.ndarray) -> np.ndarray:
    """Probabilities of `KINDS`, float32 (n, 5): one hidden layer.

    Args:
        rows: see `features`.
    """
    model = _model()
    scaled = np.clip((rows - model["mean"]) / model["deviation"], -4, 4)
    hidden = np.maximum(scaled @ model["weight1"] + model["bias1"], 0)
    score = hidden @ model["weight2"] + model["bias2"]
    power = np.exp(score - score.max(axis=1, keepdims=True))
    return (power / power.sum(axis=1, keepdims=True)).astype(np.float32)
