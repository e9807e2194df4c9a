"""Segmenters and filters on expressions whose boxes are known: is what they outline where it is?

An expression is a caption: what it names is asked for, and the box of the best mask is held against
the true one, as visual grounding does it.
"""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from pycocotools import mask as coco

from filters.config import FilterConfig
from filters.decide import decide
from filters.stage import Score
from miner.barrier.verdicts import grounded_concepts
from miner.core.rows import JudgedCandidate
from miner.core.unit import IMAGES, SAMPLES, Stage, Unit
from miner.corpora.images import check
from miner.evaluate.refpath import Box
from ner.config import NerConfig
from ner.stage import ExtractMentions
from segmenters.config import SegmentConfig
from segmenters.stage import Segment

RIGHT_IOU = 0.5
UNNAMED = "nothing named"  # row of the expressions that name nothing that could be outlined
MAX_PIXELS = 36_000_000

Corners = tuple[float, float, float, float]


@dataclasses.dataclass(frozen=True)
class Placed:
    """What is said of one expression.

    Attributes:
        concept: of the best mask, else the first that the expression names, else `UNNAMED`.
        answered: whether there is a mask.
        kept: whether it is kept.
        iou: of the mask's box with the true one, 0 without a mask.
        nearest: the same of the nearest single object's box or the mask's, which bounds what a
            choice among objects could reach.
    """

    concept: str
    answered: bool = False
    kept: bool = False
    iou: float = 0.0
    nearest: float = 0.0


class Asked(NamedTuple):
    """An expression before the verdicts.

    Attributes:
        names: concepts that it names and that could be outlined.
        masks: number of a candidate, IoU of its box and of its nearest object's with the true one.
    """

    names: list[str]
    masks: list[tuple[int, float, float]]


def evaluate_boxes(
    boxes: Mapping[Path, Sequence[Box]],
    ner: NerConfig,
    segment: SegmentConfig,
    filters: FilterConfig,
    threads: int = 1,
) -> dict[str, Any]:
    """Run extraction, segmenters and filters over pictures with expressions.

    Args:
        boxes: by picture; each is encoded once.
        ner: what reads the expressions.
        segment: which segmenters answer.
        filters: how their masks are scored and judged.
        threads: of the models.

    Returns:
        `pictures`; `faults`: how often which reason kept a box from being judged; figures (see
        `figures`) `all` and, by name, `concepts`.
    """
    stages: tuple[Stage, ...] = (
        ExtractMentions(ner),
        Segment(segment.model_copy(update={"decoys": 0}), threads),
        Score(filters, threads),
    )
    faults: Counter[str] = Counter()
    tables: list[pa.Table] = []
    asked: list[Asked] = []
    pictures = rows = 0
    for image, mine in boxes.items():
        unit, corners = _unit(image, mine, f"{pictures:06d}", faults)
        if unit is None:
            continue
        for stage in stages:
            unit = stage(unit)
        pictures += 1
        asked += _asked(unit, corners, rows)
        rows += unit.candidates.num_rows
        tables.append(unit.candidates.drop_columns(["counts", "instances"]))
    found: list[Placed] = []
    if tables:
        judged = decide(pa.concat_tables(tables, promote_options="default"), filters)
        verdicts = judged.select(["concept", "score", "keep"]).to_pylist()
        found = [_placed(one, verdicts) for one in asked]
    groups: dict[str, list[Placed]] = defaultdict(list)
    for one in found:
        groups[one.concept].append(one)
    return {
        "pictures": pictures,
        "faults": dict(sorted(faults.items())),
        "all": figures(found),
        "concepts": {name: figures(some) for name, some in sorted(groups.items())},
    }


def figures(found: Sequence[Placed]) -> dict[str, Any]:
    """Figures of some expressions; without a mask an IoU is 0.

    Returns:
        expressions; answered, kept: how many have a mask, and one that is kept; iou: mean;
        accuracy: share with an IoU of .5 or more; nearest_iou and nearest_accuracy: of the nearest
        object. Means are None of no expression.
    """
    own, nearest = [one.iou for one in found], [one.nearest for one in found]
    return {
        "expressions": len(found),
        "answered": sum(one.answered for one in found),
        "kept": sum(one.kept for one in found),
        "iou": _mean(own),
        "accuracy": _mean([iou >= RIGHT_IOU for iou in own]),
        "nearest_iou": _mean(nearest),
        "nearest_accuracy": _mean([iou >= RIGHT_IOU for iou in nearest]),
    }


def box_iou(first: Sequence[float], second: Sequence[float]) -> float:
    """Intersection over union of two boxes, x1, y1, x2, y2, end-exclusive."""
    boxes = np.array([first, second], float)
    size = boxes[:, 2:] - boxes[:, :2]
    both = np.prod(np.clip(boxes[:, 2:].min(axis=0) - boxes[:, :2].max(axis=0), 0, None))
    return float(both / (np.prod(size, axis=1).sum() - both))


def _unit(
    image: Path, boxes: Sequence[Box], image_id: str, faults: Counter[str]
) -> tuple[Unit | None, list[Corners]]:
    """A picture with an expression a row, and its boxes cut to the picture; None without one."""
    try:
        data = image.read_bytes()
    except OSError:
        data = b""
    picture = check(data, MAX_PIXELS)
    if picture.data is None:
        faults[picture.reason or "unreadable_file"] += len(boxes)
        return None, []
    samples: list[dict[str, str]] = []
    corners: list[Corners] = []
    for one in boxes:
        x1, y1, x2, y2 = one.box
        inside = max(x1, 0), max(y1, 0), min(x2, picture.width), min(y2, picture.height)
        if inside[0] >= inside[2] or inside[1] >= inside[3]:
            faults["outside_picture"] += 1
            continue
        corners.append(inside)
        row = f"{image_id}-{len(samples):06d}"
        samples.append({"sample_id": row, "image_id": image_id, "caption": one.expression})
    if not samples:
        return None, []
    shown = {
        "image_id": image_id, "data": picture.data, "format": picture.format,
        "width": picture.width, "height": picture.height, "mpp_source": "none",
    }  # fmt: skip
    tables = pa.Table.from_pylist(samples, SAMPLES), pa.Table.from_pylist([shown], IMAGES)
    return Unit(*tables), corners


def _asked(unit: Unit, corners: Sequence[Corners], before: int) -> list[Asked]:
    """What each expression of a picture names, and how its masks lie.

    Args:
        unit: a picture.
        corners: box of each expression.
        before: candidates of the pictures before it.
    """
    size = [unit.images["height"][0].as_py(), unit.images["width"][0].as_py()]
    wanted = ["concept", "bbox", "instances"]
    answers = unit.candidates.select(wanted).to_pylist()
    found = []
    for mentions, true in zip(unit.samples["mentions"].to_pylist(), corners, strict=True):
        names = grounded_concepts(mentions or ())
        masks = []
        for i, row in enumerate(answers):
            if row["concept"] in names and row["bbox"] is not None:
                own = box_iou(row["bbox"], true)
                rles = [{"size": size, "counts": one} for one in row["instances"]]
                single = [
                    box_iou((x, y, x + w, y + h), true) for x, y, w, h in map(coco.toBbox, rles)
                ]
                masks.append((before + i, own, max([own, *single])))
        found.append(Asked(names, masks))
    return found


def _placed(asked: Asked, verdicts: Sequence[JudgedCandidate]) -> Placed:
    """The kept mask with the best score, or the best that is not kept."""
    if not asked.masks:
        return Placed(asked.names[0] if asked.names else UNNAMED)

    def rank(mask: tuple[int, float, float]) -> tuple[bool, float]:
        return verdicts[mask[0]]["keep"], verdicts[mask[0]]["score"] or 0.0

    row, iou, nearest = max(asked.masks, key=rank)
    return Placed(verdicts[row]["concept"], True, verdicts[row]["keep"], iou, nearest)


def _mean(values: Sequence[float]) -> float | None:
    return round(float(np.mean(values)), 4) if values else None
