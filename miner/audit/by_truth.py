"""Judging a sample by expert masks, where there are any: phantoms, annotated sets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from miner.audit.judgements import Verdict
from miner.core.masks import decode
from miner.core.store import Store
from miner.evaluate.truth import Truth
from miner.report.gallery import Pictures

RIGHT_IOU, ROUGHLY_IOU, SAME_OBJECT_IOU = 0.75, 0.5, 0.1


def by_truth(store: Store, audit: Mapping[str, Any], truth: Truth) -> list[dict[str, Any]]:
    """Lines for a file of judgements, by an auditor called `truth`.

    An IoU of .75 is right, of .5 roughly right; below that the extent is wrong, or the object where
    hardly anything overlaps or the gold says that it is not there. A mask is judged as what was
    asked for in its place where experts tell nothing of its own concept. What nobody outlined gets
    no judgement, planted masks neither.

    Args:
        store: the audited OUT.
        audit: content of audit.json.
        truth: expert masks.
    """
    real = [i for i in audit["items"] if i["control"] is None]
    pictures = Pictures(store, {i["sample_id"] for i in real})
    lines = []
    for item in real:
        picture = item["corpus"], item["image"]
        place = *picture, truth.answering(*picture, item["concept"], item.get("asked_as"))
        labels = truth.labels(*place)
        if labels is None:
            if not truth.absent(*place):
                continue
            iou = 0.0
        else:
            image = pictures.images[pictures.samples[item["sample_id"]]["image_id"]]
            key = image["image_id"], item["concept"], item["segmenter"]
            mask = decode(pictures.masks[key], image["height"], image["width"])
            iou = float(((labels > 0) & mask).sum() / ((labels > 0) | mask).sum())
        lines.append(
            {"audit": audit["audit"], "item": item["item"], "auditor": "truth",
             "verdict": _verdict(iou)}
        )  # fmt: skip
    return lines


def _verdict(iou: float) -> Verdict:
    if iou >= RIGHT_IOU:
        return "right"
    if iou >= ROUGHLY_IOU:
        return "roughly_right"
    return "wrong_extent" if iou >= SAME_OBJECT_IOU else "wrong_object"
