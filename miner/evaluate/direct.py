"""Segmenters and filters on annotated sets: asked for what is there and for what is not.

The classes that experts outlined or looked for in vain are the phrases, as if a caption named them.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from filters.calibration.labelled import Labelled, Truth
from filters.config import FilterConfig
from filters.decide import decide
from filters.stage import Score
from miner.core.masks import decode
from miner.core.pixels import encode
from miner.core.rle import decode_labels
from miner.core.rows import JudgedCandidate
from miner.core.unit import FACT, IMAGES, MENTION, SAMPLES, Unit
from miner.evaluate.instances import Matched, match
from ner.concepts import concepts
from segmenters.config import SegmentConfig
from segmenters.stage import Segment

RIGHT_IOU = 0.5


@dataclasses.dataclass(frozen=True)
class Answer:
    """What is said of one concept in one picture.

    Attributes:
        concept: asked for.
        organ: of the picture, "unknown" where it is not told.
        present: whether experts outlined it.
        score: of the best mask, 0 without one.
        kept: whether a mask of it is kept.
        dice: of the best mask with the experts' outline, 0 without one; None for what is absent.
        iou: of the kept mask, 0 for one of what is absent; None where none is kept.
        objects: single objects held against the experts', None where they are not told apart.
    """

    concept: str
    organ: str
    present: bool
    score: float
    kept: bool
    dice: float | None
    iou: float | None
    objects: Matched | None


def evaluate_sets(
    tiles: Iterable[Labelled], segment: SegmentConfig, filters: FilterConfig, threads: int = 1
) -> dict[str, Any]:
    """Run segmenters and filters over labelled tiles.

    Args:
        tiles: read one by one.
        segment: which segmenters answer.
        filters: how their masks are scored and judged.
        threads: of the models.

    Returns:
        `tiles`, and figures (see `figures`) `all`, by name `concepts` and `organs`.
    """
    stages = (
        Segment(segment.model_copy(update={"decoys": 0}), threads),
        Score(filters, threads),
    )
    tables, truths = [], {}
    for number, tile in enumerate(tiles):
        unit = _unit(tile, f"{number:06d}")
        for stage in stages:
            unit = stage(unit)
        tables.append(unit.candidates)
        size = tile.image.shape[:2]
        rows = unit.candidates.select(["concept", "segmenter", "counts", "instances"]).to_pylist()
        truths[f"{number:06d}"] = (tile, [_compared(row, tile, size) for row in rows])
    if not tables:
        return {"tiles": 0, "all": figures([]), "concepts": {}, "organs": {}}
    judged = decide(pa.concat_tables(tables, promote_options="default"), filters)
    verdicts = judged.select(["image_id", "concept", "score", "keep"]).to_pylist()
    found, at = [], 0
    for image_id, (tile, compared) in truths.items():
        mine = verdicts[at : at + len(compared)]
        at += len(compared)
        assert all(row["image_id"] == image_id for row in mine)
        found += _answers(tile, mine, compared)
    return {
        "tiles": len(truths),
        "all": figures(found),
        "concepts": _by(found, "concept"),
        "organs": _by(found, "organ"),
    }


def _by(found: Sequence[Answer], name: str) -> dict[str, dict[str, Any]]:
    groups: dict[str, list[Answer]] = defaultdict(list)
    for one in found:
        groups[getattr(one, name)].append(one)
    return {key: figures(some) for key, some in sorted(groups.items())}


def figures(found: Sequence[Answer]) -> dict[str, Any]:
    """Figures of some answers.

    Returns:
        present, absent: how often asked for; dice: mean of the best masks of what is present, none
        counting as 0; auroc: of the best score, present against absent; kept: share of what is
        present with a kept mask; precision: share of kept masks with an IoU of .5 or more; pq and
        aji over all objects. None where nothing can be said.
    """
    present = [a for a in found if a.present]
    kept = [a for a in found if a.kept]
    objects = [a.objects for a in present if a.objects is not None]
    either = sum(o.mined + o.outlined for o in objects) / 2
    union = sum(o.union for o in objects)
    right = sum((a.iou or 0.0) >= RIGHT_IOU for a in kept)
    return {
        "present": len(present),
        "absent": len(found) - len(present),
        "dice": _mean([a.dice or 0.0 for a in present]),
        "auroc": auroc([a.score for a in present], [a.score for a in found if not a.present]),
        "kept": _mean([float(a.kept) for a in present]),
        "precision": round(right / len(kept), 4) if kept else None,
        "pq": round(sum(o.iou for o in objects) / either, 4) if either else None,
        "aji": round(sum(o.intersection for o in objects) / union, 4) if union else None,
    }


def auroc(positive: Sequence[float], negative: Sequence[float]) -> float | None:
    """Chance that a present concept scores above an absent one, ties counting half."""
    if not positive or not negative:
        return None
    high, low = np.asarray(positive, float), np.sort(np.asarray(negative, float))
    below, upto = np.searchsorted(low, high, "left"), np.searchsorted(low, high, "right")
    return round(float((below + upto).mean() / (2 * len(low))), 4)


def _mean(values: Sequence[float]) -> float | None:
    return round(float(np.mean(values)), 4) if values else None


def _unit(tile: Labelled, image_id: str) -> Unit:
    """The tile with a caption row that names all its concepts."""
    height, width = tile.image.shape[:2]
    mentions = [
        {
            "start": 0,
            "end": len(name),
            "text": name,
            "concept": name,
            "kind": concepts()[name].kind,
            "polarity": "affirmed",
            "sources": ["class"],
            "votes": ["class:affirmed"],
            "groundable": True,
        }
        for name in (*tile.truth, *tile.absent)
    ]
    facts = [{"kind": "site", "value": tile.site}] if tile.site else []
    sample = {"sample_id": image_id, "image_id": image_id}
    samples = pa.Table.from_pylist([sample], SAMPLES)
    samples = samples.append_column("mentions", pa.array([mentions], pa.list_(MENTION)))
    samples = samples.append_column("facts", pa.array([facts], pa.list_(FACT)))
    image = {
        "image_id": image_id,
        "data": encode(tile.image, "png"),
        "format": "png",
        "width": width,
        "height": height,
        "mpp": tile.mpp,
        "mpp_source": "none" if tile.mpp is None else "stated",
    }
    return Unit(samples, pa.Table.from_pylist([image], IMAGES))


def _compared(
    row: JudgedCandidate, tile: Labelled, size: tuple[int, ...]
) -> tuple[float, float, Matched | None] | None:
    """Dice, IoU and objects of a mask with the experts' outline; None without a mask."""
    if row["counts"] is None:
        return None
    truth = tile.truth.get(row["concept"])
    if truth is None:
        return 0.0, 0.0, None
    known = np.ones(size, bool) if truth.unknown is None else ~truth.unknown
    mask, there = decode(row["counts"], *size) & known, (truth.labels > 0) & known
    both, either = int((mask & there).sum()), int((mask | there).sum())
    dice = 2 * both / max(both + either, 1)
    return dice, both / max(either, 1), _objects(row, truth, known)


def _objects(row: JudgedCandidate, truth: Truth, known: np.ndarray) -> Matched | None:
    if not row["instances"] or int(truth.labels.max()) < 2:
        return None
    mined = np.where(known, decode_labels(row["instances"], known.shape), 0)
    return match(mined, np.where(known, truth.labels, 0))


def _answers(
    tile: Labelled,
    verdicts: Sequence[JudgedCandidate],
    compared: Sequence[tuple[float, float, Matched | None] | None],
) -> list[Answer]:
    """One answer per concept: that of the best scored mask, and of the one that is kept."""
    found = []
    for name in (*tile.truth, *tile.absent):
        rows = [
            (verdict["score"] or 0.0, verdict["keep"], one)
            for verdict, one in zip(verdicts, compared, strict=True)
            if verdict["concept"] == name and one is not None
        ]
        best = max(rows, key=lambda row: row[0], default=(0.0, False, None))
        kept = next((one for _, keep, one in rows if keep), None)
        present = name in tile.truth
        shown = kept or best[2]
        found.append(
            Answer(
                name,
                tile.site or "unknown",
                present,
                best[0],
                kept is not None,
                (best[2][0] if best[2] else 0.0) if present else None,
                kept[1] if kept else None,
                shown[2] if shown and present else None,
            )
        )
    return found
