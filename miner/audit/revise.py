"""A grounded sample as it is released: without what fell short, with what auditors redrew."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import cv2
import numpy as np

from filters.completeness import REDRAWN
from miner.audit.judgements import Outline
from miner.core.masks import bbox, encode
from shards.known import completed
from shards.sample import PRESENT, UNKNOWN, GroundedSample, KnownConcept, Region, Rle, SampleMention

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
    sample: GroundedSample,
    revision: Revision,
    fill: Callable[[Outline, int, int], np.ndarray],
) -> GroundedSample | None:
    """The sample with its revision, or None when it had regions and none is left.

    Args:
        sample: as packed.
        revision: what changes.
        fill: outline, height and width to a mask, bool (H, W).
    """
    sample = completed(sample)
    regions: list[Region] = []
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
    mentions: list[SampleMention] = [
        {**m, "regions": [at[i] for i in m["regions"] if i in at]} for m in sample["mentions"]
    ]
    left = {r["concept"] for r in regions}
    known: list[KnownConcept] = [
        {**c, "state": UNKNOWN, "why": "audit"}
        if c["state"] == PRESENT and c["concept"] not in left
        else c
        for c in sample["concepts"]
    ]
    return {**sample, "regions": regions, "mentions": mentions, "concepts": known}


def _redrawn(region: Region, mask: np.ndarray) -> Region:
    size = list(mask.shape)
    count, labels = cv2.connectedComponents(mask.astype(np.uint8))
    parts: list[Rle] = [{"size": size, "counts": encode(labels == n)} for n in range(1, count)]
    return {
        **region,
        "clip": dict.fromkeys(region["clip"]),
        "ks": dict.fromkeys(region["ks"]),
        "geometry": dict.fromkeys(region["geometry"]),
        "confidence": None,
        "score": None,
        "biomedparse_p": None,
        "q_value": None,
        "rle": {"size": size, "counts": encode(mask)},
        "instances": parts if region["kind"] == "object" else [],
        "bbox": list(bbox(mask)),
        "area_px": int(mask.sum()),
        "segmenter": AUDITOR,
        "exhaustive": None,
        "count": None,
        "exhaustive_why": REDRAWN,
        "count_why": REDRAWN,
    }
