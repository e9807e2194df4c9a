"""A grounded sample as it is released: without what fell short, with what auditors redrew."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import cv2
import numpy as np

from filters.completeness import REDRAWN
from miner.audit.judgements import Outline
from miner.core.masks import bbox, encode
from shards.known import completed
from shards.sample import PRESENT, UNKNOWN

Place = tuple[str, str, str]  # corpus, image, concept
AUDITOR = "auditor"  # in the place of the segmenter's name


@dataclasses.dataclass(frozen=True)
class Revision:
    """What a release changes.

    Attributes:
        concepts: left out everywhere.
        masks: left out of their picture.
        redrawn: outlines that take the place of a mask.
    """

    concepts: frozenset[str]
    masks: frozenset[Place]
    redrawn: Mapping[Place, Outline]


def revised(
    sample: Mapping[str, Any],
    revision: Revision,
    fill: Callable[[Outline, int, int], np.ndarray],
) -> dict[str, Any] | None:
    """The sample with its revision, or None when it had regions and none is left.

    Args:
        sample: as packed.
        revision: what changes.
        fill: outline, height and width to a mask, bool (H, W).
    """
    sample = completed(sample)
    regions: list[Mapping[str, Any]] = []
    at: dict[int, int] = {}
    for i, region in enumerate(sample["regions"]):
        place = sample["corpus"], sample["image"], region["concept"]
        if region["concept"] in revision.concepts or place in revision.masks:
            continue
        if place in revision.redrawn:
            mask = fill(revision.redrawn[place], sample["height"], sample["width"])
            if not mask.any():
                continue
            region = _redrawn(region, mask)
        at[i] = len(regions)
        regions.append(region)
    if sample["regions"] and not regions:
        return None
    mentions = [
        {**m, "regions": [at[i] for i in m["regions"] if i in at]} for m in sample["mentions"]
    ]
    left = {r["concept"] for r in regions}
    known = [
        {**c, "state": UNKNOWN, "why": "audit"}
        if c["state"] == PRESENT and c["concept"] not in left
        else c
        for c in sample["concepts"]
    ]
    return {**sample, "regions": regions, "mentions": mentions, "concepts": known}


def _redrawn(region: Mapping[str, Any], mask: np.ndarray) -> dict[str, Any]:
    size = list(mask.shape)
    count, labels = cv2.connectedComponents(mask.astype(np.uint8))
    parts = [{"size": size, "counts": encode(labels == n)} for n in range(1, count)]
    return {
        **region,
        **{name: dict.fromkeys(region[name]) for name in ("clip", "ks", "geometry")},
        **dict.fromkeys(("confidence", "score", "biomedparse_p", "q_value")),
        "rle": {"size": size, "counts": encode(mask)},
        "instances": parts if region["kind"] == "object" else [],
        "bbox": list(bbox(mask)),
        "area_px": int(mask.sum()),
        "segmenter": AUDITOR,
        **dict.fromkeys(("exhaustive", "count")),
        **dict.fromkeys(("exhaustive_why", "count_why"), REDRAWN),
    }
