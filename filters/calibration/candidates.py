"""Candidates with a known answer: what a segmenter says about labelled tiles, and planted errors.

The wrong ones are wrong in the ways that happen: another thing's mask under the phrase, the right
thing in the wrong place, two things in one mask, a mask of nothing. Everything is a function of the
tile's name, so the same tiles give the same candidates.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Collection, Iterable, Iterator
from typing import Any

import cv2
import numpy as np
import pyarrow as pa

from filters.calibration.labelled import Labelled, Truth, phantom_concepts
from filters.families import family, related
from filters.objects import components
from filters.stage import Score
from miner.unit import CANDIDATES
from ner.concepts import concepts
from segmenters.protocol import Prompt, Segmenter
from segmenters.regions import bbox, encode, encode_labels

RIGHT_IOU = 0.5
MAX_INSTANCES = 400
MAX_PLANTED = 3  # concepts of a tile that errors are planted for

# How a candidate came about. The first two are what a run sees; the others are planted.
NATURAL = ("asked", "absent")
PLANTED = ("outline", "concept", "shifted", "merged", "hallucinated")

LABELS = pa.schema(
    [
        ("tile", pa.string()),
        ("source", pa.string()),
        ("group", pa.string()),
        ("fold", pa.int64()),
        ("how", pa.string()),  # one of NATURAL and PLANTED
        ("iou", pa.float64()),  # with the truth of the phrase
        ("right", pa.bool_()),
        ("twin", pa.string()),  # the same for all phrases of one mask
    ]
)


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
    """

    concept: str
    mask: np.ndarray
    labels: np.ndarray | None
    confidence: float | None
    how: str
    iou: float


def iou(first: np.ndarray, second: np.ndarray) -> float:
    """Intersection over union of two masks, bool (H, W); 0 where both are empty."""
    union = int((first | second).sum())
    return int((first & second).sum()) / union if union else 0.0


def answers(
    tile: Labelled, segmenter: Segmenter, asked: Collection[str]
) -> list[tuple[str, np.ndarray, np.ndarray | None, float]]:
    """(concept, mask, labels, confidence) of every asked concept the segmenter finds."""
    table = concepts()
    prompts = [
        Prompt(name, table[name].kind, table[name].wordings)
        for name in asked
        if segmenter.supports(name)
    ]
    if not prompts:
        return []
    found = segmenter.segment(segmenter.encode(tile.image, tile.mpp), prompts)
    return [
        (c.concept, c.mask, c.labels, c.confidence)
        for c in found
        if c.mask is not None and c.mask.any()
    ]


def of_tile(tile: Labelled, segmenter: Segmenter, absent: int = 3) -> list[Planted]:
    """Natural and planted candidates of one tile.

    Args:
        tile: the tile.
        segmenter: answers for what is there and, on complete tiles, for what is not.
        absent: how many absent concepts are asked for.
    """
    rng = np.random.default_rng(
        int.from_bytes(hashlib.sha256(tile.name.encode()).digest()[:8], "big")
    )
    missing = _absent(tile) if tile.complete else []
    some = [missing[i] for i in rng.permutation(len(missing))[:absent]]
    found: list[Planted] = []
    for name, mask, labels, confidence in answers(tile, segmenter, [*tile.truth, *some]):
        known = tile.truth.get(name)
        if known is None:
            found.append(Planted(name, mask, labels, confidence, "absent", 0.0))
        elif known.exhaustive:
            value = iou(mask, known.labels > 0)
            found.append(Planted(name, mask, labels, confidence, "asked", value))
    return found + list(_plants(tile, found, missing, rng))


def _absent(tile: Labelled) -> list[str]:
    """Concepts surely not in a complete tile, nor kin to anything in it, sorted."""
    table = concepts()
    return sorted(
        name
        for name in phantom_concepts()
        if name not in tile.truth and not any(related(name, there, table) for there in tile.truth)
    )


def _plants(
    tile: Labelled, natural: Iterable[Planted], missing: list[str], rng: np.random.Generator
) -> Iterator[Planted]:
    table = concepts()
    by_name = {p.concept: p for p in natural if p.how == "asked"}
    names = sorted(tile.truth)
    for name in sorted(names[i] for i in rng.permutation(len(names))[:MAX_PLANTED]):
        known = tile.truth[name]
        truth = known.labels > 0
        share = float(truth.mean())
        if not known.exhaustive or truth.sum() < 64 or share > 0.9:
            continue
        kind = table[name].kind
        natural_one = by_name.get(name)
        if natural_one is not None and natural_one.iou >= RIGHT_IOU and rng.random() < 0.5:
            mask, labels = natural_one.mask, natural_one.labels
            confidence: float | None = natural_one.confidence
        else:
            mask, labels = _wobbled(known, kind, rng)
            confidence = None
            if mask.any():
                yield Planted(name, mask, labels, None, "outline", iou(mask, truth))
        if not mask.any():
            continue
        others = _wrong_phrases(name, tile, missing)
        if others:
            wrong = others[int(rng.integers(len(others)))]
            own = labels if table[wrong].kind == "object" else None
            there = tile.truth.get(wrong)
            value = 0.0 if there is None else iou(mask, there.labels > 0)
            if value < RIGHT_IOU and (there is None or there.exhaustive):
                yield Planted(wrong, mask, own, confidence, "concept", value)
        for how, changed in (
            ("shifted", _shifted(mask, labels, truth, rng)),
            ("merged", _merged(mask, labels, tile, name, rng)),
            ("hallucinated", _hallucinated(mask, labels, truth, rng)),
        ):
            if changed is not None and changed[0].any():
                value = iou(changed[0], truth)
                if value < RIGHT_IOU:
                    yield Planted(name, *changed, confidence, how, value)


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


def score_tiles(
    tiles: Iterable[Labelled], segmenter: Segmenter, score: Score, absent: int = 3
) -> pa.Table:
    """Candidates of many tiles with all their scores and their known answers.

    Args:
        tiles: labelled tiles.
        segmenter: whose answers are judged.
        score: measures them.
        absent: absent concepts asked for per complete tile.

    Returns:
        `CANDIDATES`, the scores of `filters.stage.Score` and `LABELS`, one row per candidate.
    """
    tables = []
    for tile in tiles:
        planted = of_tile(tile, segmenter, absent)
        if planted:
            tables.append(_scored(tile, planted, segmenter.name, score))
    return pa.concat_tables(tables, promote_options="default")


def _scored(tile: Labelled, planted: list[Planted], segmenter: str, score: Score) -> pa.Table:
    rows = [_row(tile.name, p, segmenter) for p in planted]
    # Planted candidates are no neighbours of each other: each is judged as if it were alone.
    results = score.score_image(tile.image, tile.mpp, rows, alone=True)
    table = pa.Table.from_pylist(rows, schema=CANDIDATES)
    for name, values in score.columns(results).items():
        table = table.append_column(name, values)
    labels = {
        "tile": [tile.name] * len(rows),
        "source": [tile.source] * len(rows),
        "group": [tile.group] * len(rows),
        "fold": [tile.fold] * len(rows),
        "how": [p.how for p in planted],
        "iou": [p.iou for p in planted],
        "right": [p.iou >= RIGHT_IOU for p in planted],
        "twin": [hashlib.sha256(r["counts"].encode()).hexdigest()[:12] for r in rows],
    }
    for field in LABELS:
        table = table.append_column(field.name, pa.array(labels[field.name], field.type))
    # The masks have done their work.
    return table.drop_columns(["counts", "instances"])


def _row(image_id: str, planted: Planted, segmenter: str) -> dict[str, Any]:
    kind = concepts()[planted.concept].kind
    labels = planted.labels
    if labels is not None and int(labels.max()) > MAX_INSTANCES:
        labels = None
    return {
        "image_id": image_id,
        "concept": planted.concept,
        "kind": kind,
        "roles": ["positive"],
        "prompt": concepts()[planted.concept].wordings[0],
        "segmenter": segmenter if planted.confidence is not None else "planted",
        "counts": encode(planted.mask),
        "instances": encode_labels(labels) if labels is not None and kind == "object" else [],
        "bbox": list(bbox(planted.mask)),
        "area_px": int(planted.mask.sum()),
        "confidence": planted.confidence,
        "reason": None,
    }
