"""What can be wrong with one grounded sample that fits the schema: image, spans, masks."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from pycocotools import mask as coco

from miner.core.rle import run_lengths
from shards.decode import decode_image
from shards.sample import GroundedSample, Region, Rle


def sample_faults(sample: GroundedSample, image: bytes) -> Iterator[str]:
    """What is wrong with a sample that fits the schema: image, spans, masks."""
    height, width = sample["height"], sample["width"]
    try:
        shape = decode_image(image).shape[:2]
    except ValueError as error:
        yield str(error)
    else:
        if shape != (height, width):
            yield f"the image is {shape[1]}x{shape[0]}, the sample says {width}x{height}"
    pointed = set()
    for i, m in enumerate(sample["mentions"]):
        text = sample["caption"]
        if "turn" in m:
            if m["turn"] >= len(sample["turns"]):
                yield f"mention {i}: turn {m['turn']} of {len(sample['turns'])}"
                continue
            text = sample["turns"][m["turn"]]["text"]
        if not m["text"] or text[m["start"] : m["end"]] != m["text"]:
            yield f"mention {i}: span {m['start']}..{m['end']} is not {m['text']!r}"
        if m["regions"] and m["polarity"] != "affirmed":
            yield f"mention {i}: {m['polarity']}, but it points to a region"
        if any(r >= len(sample["regions"]) or r < 0 for r in m["regions"]):
            yield f"mention {i}: points to region {m['regions']} of {len(sample['regions'])}"
        pointed.update(m["regions"])
    for i, region in enumerate(sample["regions"]):
        if i not in pointed:
            yield f"region {i}: no mention points to it"
        yield from (f"region {i}: {text}" for text in _region_faults(region, height, width))


def _region_faults(region: Region, height: int, width: int) -> Iterator[str]:
    for rle in (region["rle"], *region["instances"]):
        if rle["size"] != [height, width]:
            yield f"RLE of size {rle['size']}, the image is {[height, width]}"
            return
        if not sound_rle(rle):
            yield "the run lengths do not add up to the size"
            return
    mask = coco.decode(region["rle"])
    if int(mask.sum()) != region["area_px"]:
        yield f"area_px {region['area_px']}, the mask has {int(mask.sum())}"
        return
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    box = [int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1]
    if region["bbox"] != box:
        yield f"bbox {region['bbox']}, the mask spans {box}"
    if region["instances"]:
        union = coco.decode(region["instances"]).any(axis=2)
        if not np.array_equal(union, mask.astype(bool)):
            yield "the union of the instances is not the region"


def sound_rle(rle: Rle) -> bool:
    """Whether a compressed RLE is whole and adds up to its size; pycocotools does not check."""
    height, width = rle["size"]
    try:
        (runs,) = run_lengths([rle["counts"]])
    except ValueError:
        return False
    return bool(runs.min() >= 0 and runs.sum() == height * width)
