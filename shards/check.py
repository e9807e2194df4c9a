"""What can be wrong with one grounded sample that fits the schema: image, spans, masks."""

from __future__ import annotations

from collections.abc import Iterator

from pycocotools import mask as coco

from miner.core.rle import run_lengths
from shards.decode import decode_image
from shards.sample import ON_REQUEST, PRESENT, GroundedSample, Region, Rle


def lacking_fields(sample: GroundedSample) -> list[str]:
    """Fields that shards of format 1 may lack, and all others have."""
    found = sorted(GroundedSample.__annotations__.keys() - sample.keys() - ON_REQUEST)
    for i, region in enumerate(sample["regions"]):
        lacks = sorted(Region.__annotations__.keys() - region.keys())
        found += [f"regions.{i}.{name}" for name in lacks]
    return found


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
    for i, one in enumerate(sample.get("ignored") or ()):
        if one["rle"]["size"] != [height, width] or not sound_rle(one["rle"]):
            yield f"ignored {i}: the run lengths do not add up to the image"
    yield from _state_faults(sample)


def _state_faults(sample: GroundedSample) -> Iterator[str]:
    """States that regions and mentions contradict; shards of format 1 have none."""
    rows = sample.get("concepts")
    if rows is None:
        return
    known = {c["concept"]: c["state"] for c in rows}
    if len(known) < len(rows):
        yield "a concept has two states"
    grounded = {r["concept"] for r in sample["regions"]}
    if rows and {name for name, state in known.items() if state == PRESENT} != grounded:
        yield "the concepts that are present are not those of the regions"
    for name in sorted({m["concept"] for m in sample["mentions"]} - known.keys() if rows else ()):
        yield f"nothing is said of {name}, which a mention names"


def _region_faults(region: Region, height: int, width: int) -> Iterator[str]:
    for rle in (region["rle"], *region["instances"]):
        if rle["size"] != [height, width]:
            yield f"RLE of size {rle['size']}, the image is {[height, width]}"
            return
        if not sound_rle(rle):
            yield "the run lengths do not add up to the size"
            return
    # All of it on the runs: a decoded picture per object costs a hundred times as much.
    area = int(coco.area(region["rle"]))
    if area != region["area_px"]:
        yield f"area_px {region['area_px']}, the mask has {area}"
        return
    x, y, w, h = (int(v) for v in coco.toBbox(region["rle"]))
    box = [x, y, x + w, y + h]
    if region["bbox"] != box:
        yield f"bbox {region['bbox']}, the mask spans {box}"
    if (count := region.get("count")) and not (
        count["low"] <= count["n"] <= count["high"] and count["n"] == len(region["instances"])
    ):
        yield f"count {count}, it has {len(region['instances'])} objects"
    if region["instances"] and not _same(coco.merge(region["instances"]), region["rle"]):
        yield "the union of the instances is not the region"


def _same(a: Rle, b: Rle) -> bool:
    """Whether two sound encodings are of one mask: no pixel is in only one of them."""
    both = float(coco.area(coco.merge([a, b], intersect=True)))
    return both == float(coco.area(a)) == float(coco.area(b))


def sound_rle(rle: Rle) -> bool:
    """Whether a compressed RLE is whole and adds up to its size; pycocotools does not check."""
    height, width = rle["size"]
    try:
        (runs,) = run_lengths([rle["counts"]])
    except ValueError:
        return False
    return bool(runs.min() >= 0 and runs.sum() == height * width)
