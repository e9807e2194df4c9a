"""Mined regions against expert masks: how many, how good, how precise."""

from __future__ import annotations

import dataclasses
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from scipy.stats import binomtest

from miner.core.errors import Refused
from miner.core.masks import decode
from miner.core.names import stem
from miner.core.store import Store

# File names of label maps are the concept with `_` for spaces, but for these.
ENTITY = {
    "nucleus": "nuclei",
    "epithelial nucleus": "epithelial_nuclei",
    "stromal nucleus": "stromal_nuclei",
}


@dataclasses.dataclass(frozen=True)
class Judged:
    """One mined region and what the experts say of it.

    Attributes:
        concept: canonical name.
        iou: intersection over union with the expert mask, 0 where the concept is known to be
            absent, None where nobody outlined it.
        dice: Dice coefficient, likewise.
        score: the decision's score.
    """

    concept: str
    iou: float | None
    dice: float | None
    score: float


def entity(concept: str) -> str:
    """File stem of a concept's label map."""
    return ENTITY.get(concept, concept.replace(" ", "_"))


def wilson(hits: int, n: int) -> tuple[float, float]:
    """Wilson score interval of a share (Wilson 1927), 95%; (0, 1) for n = 0."""
    if n == 0:
        return 0.0, 1.0
    interval = binomtest(hits, n).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)


def evaluate(store: Store, masks: Path) -> dict[str, Any]:
    """Compare the regions in the shards with label maps.

    Args:
        store: a finished OUT.
        masks: folder `<corpus>/<image stem or wsi_x_y>/<entity>.png` (0 background). A
            `gold.jsonl` beside or above it tells which concepts are absent (`present: false`).

    Returns:
        {"concepts": {name: row}, "all": row} with row = {mined, judged, dice, iou,
        precision, precision_low, precision_high}; precision is the share of the judged regions
        with IoU >= .5, with its 95% Wilson interval; None where nothing could be judged.

    Raises:
        Refused: `masks` has no label maps, or OUT no shards.
    """
    if not masks.is_dir() or not any(masks.glob("*/*/*.png")):
        raise Refused(f"--masks {masks}: no <corpus>/<image>/<entity>.png in it")
    absent = _absent(masks)
    by_concept: dict[str, list[Judged]] = defaultdict(list)
    for sample in _samples(store):
        for region in sample["regions"]:
            judged = _judge(sample, region, masks, absent)
            by_concept[judged.concept].append(judged)
    return {
        "concepts": {c: _row(found) for c, found in sorted(by_concept.items())},
        "all": _row([j for found in by_concept.values() for j in found]),
    }


def _samples(store: Store) -> Iterator[dict[str, Any]]:
    import webdataset

    names = store.names("shards", suffix=".tar")
    if not names:
        raise Refused(f"{store.url}: no shards in it; has the run finished?")
    for name in names:
        with store.fs.open(store.path(name), "rb") as file:
            for member in webdataset.tariterators.tar_file_iterator(file):
                if member["fname"].endswith(".json"):
                    yield json.loads(member["data"])


def _judge(
    sample: Mapping[str, Any],
    region: Mapping[str, Any],
    masks: Path,
    absent: set[tuple[str, str, str]],
) -> Judged:
    concept, score = region["concept"], region["score"]
    name = stem(sample["image"])
    file = masks / sample["corpus"] / name / f"{entity(concept)}.png"
    if not file.exists():
        gone = (sample["corpus"], name, concept) in absent
        worst = 0.0 if gone else None
        return Judged(concept, worst, worst, score)
    truth = cv2.imread(str(file), cv2.IMREAD_UNCHANGED) > 0
    mask = decode(region["rle"]["counts"], *region["rle"]["size"])
    both, either = int((truth & mask).sum()), int((truth | mask).sum())
    return Judged(concept, both / either, 2 * both / (both + either), score)


def _absent(masks: Path) -> set[tuple[str, str, str]]:
    """(corpus, image stem, concept) that the gold says are not in the picture."""
    found = set()
    for file in (masks / "gold.jsonl", masks.parent / "gold.jsonl"):
        if not file.exists():
            continue
        for line in file.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            name = stem(row["image"])
            for mention in row["mentions"]:
                if mention.get("present") is False:
                    found.add((row["corpus"], name, mention["concept"]))
        break
    return found


def _row(found: list[Judged]) -> dict[str, Any]:
    ious = [j.iou for j in found if j.iou is not None]
    dices = [j.dice for j in found if j.dice is not None]
    hits = sum(iou >= 0.5 for iou in ious)
    low, high = wilson(hits, len(ious))
    return {
        "mined": len(found),
        "judged": len(ious),
        "dice": round(float(np.mean(dices)), 4) if dices else None,
        "iou": round(float(np.mean(ious)), 4) if ious else None,
        "precision": round(hits / len(ious), 4) if ious else None,
        "precision_low": round(low, 4) if ious else None,
        "precision_high": round(high, 4) if ious else None,
    }
