"""Masks and phrases that are wrong in the ways that happen, planted on labelled tiles.

Another thing's mask under the phrase, the right thing in the wrong place, two things in one mask, a
mask of nothing; beside them right masks with outlines as inexact as segmenters draw them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping

import cv2
import numpy as np

from filters.calibration.labelled import Labelled, Truth
from filters.objects import components
from ner.concepts import concepts
from ner.families import family, related

RIGHT_IOU = 0.5
# No error is planted that covers more of its picture: true masks that do are left alone, too, and
# if errors alone filled pictures, filling one would look like an error.
MOST_PLANTED = 0.9
MAX_PLANTED = 3  # concepts of a tile that errors are planted for

# How a candidate came about. The first two are what a run sees; the others are planted.
NATURAL = ("asked", "absent")
PLANTED = ("outline", "concept", "shifted", "merged", "hallucinated")


@dataclasses.dataclass(frozen=True)
class Planted:
    """A mask and phrase with a known answer.

    Attributes:
        concept: the phrase.
        mask: bool (H, W), not empty.
        labels: int32 (H, W) single objects, None for a region.
        confidence: the segmenter's own, None where the mask is not a segmenter's.
        how: see `NATURAL` and `PLANTED`.
        iou: with the truth.
        asked_as: what the segmenter answers it as, None for itself.
        own: the segmenter's other scores of the mask.
    """

    concept: str
    mask: np.ndarray
    labels: np.ndarray | None
    confidence: float | None
    how: str
    iou: float
    asked_as: str | None = None
    own: Mapping[str, float] = dataclasses.field(default_factory=dict)


def iou(first: np.ndarray, second: np.ndarray, unknown: np.ndarray | None = None) -> float:
    """Intersection over union of two masks, 0 where both are empty.

    Args:
        first: bool (H, W).
        second: bool (H, W).
        unknown: bool (H, W), pixels that count for nothing; None: all count.
    """
    either, both = first | second, first & second
    if unknown is not None:
        either, both = either & ~unknown, both & ~unknown
    union = int(either.sum())
    return int(both.sum()) / union if union else 0.0


def plants(
    tile: Labelled, natural: Iterable[Planted], missing: list[str], rng: np.random.Generator
) -> Iterator[Planted]:
    """Planted candidates of some of a tile's concepts.

    Args:
        tile: the tile.
        natural: what a segmenter answered for it.
        missing: concepts that are surely not in it.
        rng: source of all choices.
    """
    table = concepts()
    by_name = {p.concept: p for p in natural if p.how == "asked"}
    names = sorted(tile.truth)
    for name in sorted(names[i] for i in rng.permutation(len(names))[:MAX_PLANTED]):
        known = tile.truth[name]
        truth = known.labels > 0
        share = float(truth.mean())
        if not known.exhaustive or truth.sum() < 64 or share > MOST_PLANTED:
            continue
        kind = table[name].kind
        natural_one = by_name.get(name)
        if natural_one is not None and natural_one.iou >= RIGHT_IOU and rng.random() < 0.5:
            mask, labels = natural_one.mask, natural_one.labels
            confidence, said = natural_one.confidence, natural_one.own
        else:
            mask, labels = _wobbled(known, kind, rng)
            confidence, said = None, {}
            if mask.any():
                yield Planted(name, mask, labels, None, "outline", iou(mask, truth, known.unknown))
        if not mask.any():
            continue
        others = _wrong_phrases(name, tile, missing)
        if others:
            wrong = others[int(rng.integers(len(others)))]
            own = labels if table[wrong].kind == "object" else None
            there = tile.truth.get(wrong)
            value = 0.0 if there is None else iou(mask, there.labels > 0, there.unknown)
            if value < RIGHT_IOU and (there is None or there.exhaustive):
                yield Planted(wrong, mask, own, confidence, "concept", value, own=said)
        for how, changed in (
            ("shifted", _shifted(mask, labels, truth, rng)),
            ("merged", _merged(mask, labels, tile, name, rng)),
            ("hallucinated", _hallucinated(mask, labels, truth, rng)),
        ):
            if changed is not None and changed[0].any():
                value = iou(changed[0], truth, known.unknown)
                if value < RIGHT_IOU:
                    yield Planted(name, *changed, confidence, how, value, own=said)


def _wrong_phrases(name: str, tile: Labelled, missing: list[str]) -> list[str]:
    """Phrases that are wrong for a mask: present kinds elsewhere in the tile, and absent ones."""
    table = concepts()
    own = family(table[name], table[name].kind)
    known = missing if tile.complete else []
    there = [n for n in tile.truth if n != name and not related(n, name, table)]
    # Rivals of the own family first: they are the mistakes a segmenter makes.
    rivals = [n for n in known if family(table[n], table[n].kind) == own]
    free = [n for n in known if n not in rivals]
    return [*there, *rivals, *rivals, *free]


def _wobbled(
    known: Truth, kind: str, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray | None]:
    """The true mask with an outline as inexact as segmenters draw it."""
    labels = known.labels
    reach = int(rng.integers(-2, 3))
    if reach:
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * abs(reach) + 1,) * 2)
        grown = cv2.dilate(labels.astype(np.float32), kernel).astype(np.int32)
        inner = cv2.erode((labels > 0).astype(np.uint8), kernel) > 0
        labels = np.where(labels > 0, labels, grown) if reach > 0 else labels * inner
    mask = labels > 0
    return mask, labels.astype(np.int32) if kind == "object" else None


def _move(array: np.ndarray, dy: int, dx: int) -> np.ndarray:
    return np.roll(array, (dy, dx), axis=(0, 1))


def _shifted(
    mask: np.ndarray, labels: np.ndarray | None, truth: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray | None] | None:
    """The mask moved just far enough to be wrong, and up to twice as far."""
    parts = components(mask)
    size = np.sqrt(np.median(np.bincount(parts.ravel())[1:]))
    angle = rng.uniform(0, 2 * np.pi)
    for factor in (0.4, 0.7, 1.0, 1.5, 2.5):
        step = max(2.0, factor * size) * rng.uniform(1, 1.5)
        dy, dx = round(step * np.sin(angle)), round(step * np.cos(angle))
        moved = _move(mask, dy, dx)
        if iou(moved, truth) < 0.4:
            return moved, None if labels is None else _move(labels, dy, dx)
    return None


def _merged(
    mask: np.ndarray,
    labels: np.ndarray | None,
    tile: Labelled,
    name: str,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray | None] | None:
    """The mask together with another structure's, or swollen into its surroundings."""
    truth = tile.truth[name].labels > 0
    others = [t.labels > 0 for n, t in sorted(tile.truth.items()) if n != name]
    for i in rng.permutation(len(others)):
        both = mask | others[i]
        if iou(both, truth) < 0.45 and both.mean() < 0.95:
            return both, None if labels is None else components(both)
    for reach in (3, 5, 8, 12):
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
        both = cv2.dilate(mask.astype(np.uint8), kernel) > 0
        if iou(both, truth) < 0.45 and both.mean() < 0.95:
            return both, None if labels is None else components(both)
    return None


def _hallucinated(
    mask: np.ndarray, labels: np.ndarray | None, truth: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray | None] | None:
    """A mask of the same shapes at a random place, or a smooth blob of the same area."""
    height, width = mask.shape
    if rng.random() < 0.5:
        for _ in range(8):
            dy, dx = int(rng.integers(height)), int(rng.integers(width))
            moved = _move(mask, dy, dx)[::-1]
            if iou(moved, truth) < 0.4:
                return moved, None if labels is None else _move(labels, dy, dx)[::-1].copy()
        return None
    blur = max(2.0, min(height, width) / float(rng.uniform(12, 40)))
    noise = cv2.GaussianBlur(rng.standard_normal((height, width)).astype(np.float32), (0, 0), blur)
    blob = noise > np.quantile(noise, 1 - min(0.9, float(mask.mean())))
    return blob, None if labels is None else components(blob)
