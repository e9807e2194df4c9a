"""Patches with regions, each with the concepts that are right and wrong for it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import cv2
import numpy as np

from filters.clip import counterfactuals
from filters.clip.network import STRIDE
from filters.training.clip.tiles import Layer, LayeredTile
from filters.training.clip.vocabulary import Vocabulary

PATCH_PX = 144
REGIONS = 10
ZOOM = (0.55, 1.7)  # random scale, for corpora of any magnification
ABSENT_BELOW = 0.25  # a region covered less than this by a concept is none of it
MIN_REGION_PX = 24


@dataclasses.dataclass(frozen=True)
class Lesson:
    """A patch and its regions.

    Attributes:
        image: uint8 (PATCH_PX, PATCH_PX, 3), RGB.
        weights: float32 (n, PATCH_PX / STRIDE, PATCH_PX / STRIDE).
        labels: int8 (n, concepts): 1 right, -1 wrong, 0 unknown.
    """

    image: np.ndarray
    weights: np.ndarray
    labels: np.ndarray


def cut(
    tile: LayeredTile, concept: str, rng: np.random.Generator
) -> tuple[np.ndarray, list[Layer]]:
    """A patch at a random scale and orientation that shows something of a concept."""
    zoom = float(np.exp(rng.uniform(*np.log(ZOOM))))
    side = min(round(PATCH_PX / zoom), *tile.image.shape[:2])
    layer = next(one for one in tile.layers if one.concept == concept)
    ys, xs = np.nonzero(layer.labels[::4, ::4])
    height, width = tile.image.shape[:2]
    if len(ys):
        pick = int(rng.integers(len(ys)))
        y, x = 4 * int(ys[pick]), 4 * int(xs[pick])
    else:
        y, x = height // 2, width // 2
    jitter = rng.integers(-side // 3, side // 3 + 1, 2)
    top = int(np.clip(y + jitter[0] - side // 2, 0, height - side))
    left = int(np.clip(x + jitter[1] - side // 2, 0, width - side))
    turns, flip = int(rng.integers(4)), bool(rng.integers(2))

    def view(array: np.ndarray, method: int) -> np.ndarray:
        part = array[top : top + side, left : left + side]
        part = cv2.resize(part, (PATCH_PX, PATCH_PX), interpolation=method)
        part = np.rot90(part, turns)
        return np.ascontiguousarray(part[:, ::-1] if flip else part)

    method = cv2.INTER_AREA if side > PATCH_PX else cv2.INTER_LINEAR
    layers = [
        dataclasses.replace(one, labels=view(one.labels, cv2.INTER_NEAREST)) for one in tile.layers
    ]
    return view(tile.image, method), layers


def _rough(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The mask a little too large or too small, as segmenters draw them."""
    size = int(rng.integers(-2, 3))
    if size == 0:
        return mask
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * abs(size) + 1,) * 2)
    change = cv2.dilate if size > 0 else cv2.erode
    changed = change(mask.astype(np.uint8), kernel).astype(bool)
    return changed if changed.sum() >= MIN_REGION_PX else mask


def _blob(rng: np.random.Generator, side: int) -> np.ndarray:
    """A random ellipse, bool (side, side)."""
    canvas = np.zeros((side, side), np.uint8)
    x, y = (int(v) for v in rng.integers(side // 5, side - side // 5, 2))
    a, b = (int(v) for v in rng.integers(side // 12, side // 3, 2))
    cv2.ellipse(canvas, (x, y), (a, b), float(rng.uniform(0, 180)), 0, 360, (1,), -1)
    return canvas.astype(bool)


def _some(layer: Layer, rng: np.random.Generator) -> np.ndarray | None:
    """A part of a layer that is a right answer: all or some objects, or a piece of a region."""
    mask = layer.labels > 0
    if layer.objects:
        ids = np.unique(layer.labels[mask])
        choice = rng.random()
        if len(ids) > 1 and choice > 0.5:
            many = 1 if choice > 0.75 else int(rng.integers(1, len(ids)))
            mask = np.isin(layer.labels, rng.choice(ids, many, replace=False))
        mask = _rough(mask, rng)
    elif rng.random() < 0.6:
        mask = mask & _blob(rng, mask.shape[0])
    return mask if mask.sum() >= MIN_REGION_PX else None


def _elsewhere(mask: np.ndarray, truth: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
    """A mask of the same shape, or the complement, that shows little of the truth."""
    choice = rng.random()
    if choice < 0.25:
        wrong = ~cv2.dilate(truth.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    else:
        reach = mask.shape[0] // (2 if choice < 0.6 else 8)
        dy, dx = (int(v) for v in rng.integers(-reach, reach + 1, 2))
        wrong = counterfactuals.shift(mask, dy, dx)
    area = int(wrong.sum())
    if area < MIN_REGION_PX or (wrong & truth).sum() > ABSENT_BELOW * area:
        return None
    return wrong


def _shares(mask: np.ndarray, other: Layer, objects: bool) -> bool:
    """Whether a region of one concept may pass for one of another layer, too."""
    truth = other.labels > 0
    common = int((mask & truth).sum())
    if common <= 0.5 * mask.sum():
        return False
    return common > 0.5 * truth.sum() or not (objects or other.objects)


def lesson(
    tile: LayeredTile, concept: str, vocabulary: Vocabulary, rng: np.random.Generator
) -> Lesson | None:
    """A patch of a tile around a concept, with right and wrong regions; None if nothing shows."""
    image, layers = cut(tile, concept, rng)
    masks: list[np.ndarray] = []
    labels: list[np.ndarray] = []
    shown = [layer for layer in layers if (layer.labels > 0).sum() >= MIN_REGION_PX]
    shown.sort(key=lambda layer: layer.concept != concept)
    for layer in (shown[:1] * 2 + shown[1:])[: REGIONS // 2]:
        place = vocabulary.index(layer.concept)
        mask = _some(layer, rng)
        if mask is None:
            continue
        row = np.zeros(len(vocabulary.names), np.int8)
        row[vocabulary.right[place]] = 1
        row[vocabulary.wrong[place]] = -1
        for other in shown:
            if other is not layer and _shares(mask, other, layer.objects):
                row[vocabulary.index(other.concept)] = max(0, row[vocabulary.index(other.concept)])
        masks.append(mask)
        labels.append(row)
        if not layer.exhaustive:
            continue
        wrong = _elsewhere(mask, layer.labels > 0, rng)
        if wrong is not None:
            row = np.zeros(len(vocabulary.names), np.int8)
            row[vocabulary.under[place]] = -1
            masks.append(wrong)
            labels.append(row)
    if not masks:
        return None
    grid = (PATCH_PX // STRIDE, PATCH_PX // STRIDE)
    weights = np.stack([counterfactuals.grid_weights(mask, grid) for mask in masks[:REGIONS]])
    return Lesson(image, weights, np.stack(labels[:REGIONS]))


def stack(lessons: Sequence[Lesson]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A batch: images, weights and labels of all regions, and the image each belongs to."""
    owner = np.concatenate([np.full(len(one.labels), i) for i, one in enumerate(lessons)])
    return (
        np.stack([one.image for one in lessons]),
        np.concatenate([one.weights for one in lessons]),
        np.concatenate([one.labels for one in lessons]),
        owner,
    )
