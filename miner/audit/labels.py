"""What auditors judged right or redrew, as label maps that `miner calibrate --masks` reads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from skimage.draw import polygon

from miner.audit.judgements import Judgements, Outline
from miner.core.masks import decode
from miner.core.names import map_name
from miner.core.store import Store
from miner.report.gallery import Pictures


def outlines(audit: Mapping[str, Any], judgements: Judgements) -> dict[str, Outline]:
    """Redrawn outline by item; of several auditors the first by name counts. Planted ones not."""
    real = {i["item"] for i in audit["items"] if i["control"] is None}
    found: dict[str, Outline] = {}
    for judgement in judgements.found:
        if judgement.outline and judgement.item in real:
            found.setdefault(judgement.item, judgement.outline)
    return found


def filled(outline: Outline, height: int, width: int) -> np.ndarray:
    """Pixels whose centre lies within an outline, bool (H, W); what lies outside is cut off.

    Args:
        outline: rings, a pixel's centre at .5; a ring within a ring is a hole.
        height: px.
        width: px.
    """
    mask = np.zeros((height, width), bool)
    for ring in outline:
        x, y = np.array(ring).T
        mask[polygon(y - 0.5, x - 0.5, mask.shape)] ^= True
    return mask


def write_labels(
    store: Store, audit: Mapping[str, Any], judgements: Judgements, folder: Path
) -> int:
    """Write `<corpus>/<image stem>/<entity>.png` (0 background, 1 the structure) under a folder.

    A redrawn outline stands for its mask; else the mask, where every auditor calls it right.

    Returns:
        Label maps written.
    """
    drawn = outlines(audit, judgements)
    said: dict[str, list[str]] = {}
    for judgement in judgements.found:
        said.setdefault(judgement.item, []).append(judgement.verdict)
    wanted = [
        i
        for i in audit["items"]
        if i["control"] is None and i["item"] in said
        if i["item"] in drawn or set(said[i["item"]]) == {"right"}
    ]
    pictures = Pictures(store, {i["sample_id"] for i in wanted})
    for item in wanted:
        image = pictures.images[pictures.samples[item["sample_id"]]["image_id"]]
        height, width = image["height"], image["width"]
        if item["item"] in drawn:
            mask = filled(drawn[item["item"]], height, width)
        else:
            key = image["image_id"], item["concept"], item["segmenter"]
            mask = decode(pictures.masks[key], height, width)
        name = item["image"] if Path(item["image"]).suffix == "" else Path(item["image"]).stem
        file = folder / item["corpus"] / name / f"{map_name(item['concept'])}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(cv2.imencode(".png", mask.astype(np.uint8))[1].tobytes())
    return len(wanted)
