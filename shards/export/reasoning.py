"""ReasonSeg (LISA) and Seg-Zero: a picture and a question for every region."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

import cv2
import numpy as np

from miner.core.pixels import encode
from shards.export.boxed import jpeg
from shards.export.folder import Folder, Sample
from shards.export.masks import box_of, region_mask, thickest
from shards.export.options import Options, exporters
from shards.export.phrases import SPECIAL, phrases
from shards.export.portable import pixels
from shards.export.rows import Rows, save
from shards.sample import Region, Rle

SIDE_PX = 840  # of Seg-Zero's stored pictures
MOST_OBJECTS = 120  # VisionReasoner's reward cuts longer answers


def by_region(
    sample: Sample, folder: Folder, forbidden: re.Pattern[str] = SPECIAL
) -> list[tuple[Region, list[str]]]:
    """Regions of a sample with the distinct texts that point to them, in order of appearance.

    Args:
        sample: to export.
        folder: where losses go.
        forbidden: what a text must not hold, since the consumer would take it for a command.
    """
    found: dict[int, tuple[Region, list[str]]] = {}
    for p in phrases(sample.value):
        if forbidden.search(p.text) or not p.text.strip():
            folder.lose(sample.key, p.text, "the text holds a special token", "dropped")
            continue
        texts = found.setdefault(id(p.region), (p.region, []))[1]
        if p.text not in texts:
            texts.append(p.text)
    return list(found.values())


def one_name(
    sample: Sample, folder: Folder, forbidden: re.Pattern[str] = SPECIAL
) -> list[tuple[Region, str]]:
    """Regions of a sample with the first text that points to them; further ones are losses."""
    pairs = []
    for region, texts in by_region(sample, folder, forbidden):
        for text in texts[1:]:
            folder.lose(sample.key, text, "another name of a region that has one", "merged")
        pairs.append((region, texts[0]))
    return pairs


def reasonseg(samples: Iterable[Sample], folder: Folder, options: Options) -> None:
    """LISA's ReasonSeg: `reason_seg/ReasonSeg/{split}/{key}-{n}.jpg` and `.json`, a pair a region.

    All texts of a file share its one mask. Masks are rectangles of equal runs, since the loader
    draws polygons through pixel centres with their outline: with inclusive corners they are exact.
    Masks that did not stand up (`shards.keep_ignored`) are shapes called `ignore`, where they are
    not the target: LISA makes 255 of them, and neither learns nor judges there.
    """
    ignoring = False
    for sample in samples:
        found = by_region(sample, folder)
        if not found:
            folder.lose(sample.key, None, "no phrase is left", "dropped")
            continue
        picture = jpeg(sample, folder, options)
        unknown = _unknown(sample)
        ignoring |= bool(unknown.any())
        for number, (region, texts) in enumerate(found):
            name = f"reason_seg/ReasonSeg/{sample.split}/{sample.key}-{number}"
            target = region_mask(region["rle"])
            shapes = [
                {"label": label, "shape_type": "polygon", "points": corners}
                for label, mask in (("target", target), ("ignore", unknown & ~target))
                for corners in rectangles(mask)
            ]
            folder.put(f"{name}.jpg", picture)
            folder.put_json(f"{name}.json", {"shapes": shapes, "text": texts, "is_sentence": False})
    folder.put_json("reason_seg/ReasonSeg/explanatory/train.json", [])
    if ignoring:
        folder.say(
            "reasonseg: shapes called ignore are holes for LISA; Seg-Zero's create_reasonseg_hf.py "
            "takes them for the target: mine without shards.keep_ignored for it"
        )


def _unknown(sample: Sample) -> np.ndarray:
    """Where masks lie that did not stand up, bool (H, W)."""
    found = np.zeros((sample.value["height"], sample.value["width"]), bool)
    for one in sample.value.get("ignored", ()):
        found |= region_mask(one["rle"])
    return found


def rectangles(mask: np.ndarray) -> list[list[list[int]]]:
    """Corners x, y (inclusive) of rectangles whose union is a mask: equal runs of rows together.

    Args:
        mask: bool (H, W).
    """
    found: list[list[list[int]]] = []
    open_: dict[tuple[int, int], int] = {}  # run -> first row
    padded = np.zeros((mask.shape[0] + 1, mask.shape[1] + 2), np.int8)
    padded[:-1, 1:-1] = mask
    steps = np.diff(padded, axis=1)
    for y, row in enumerate(steps):
        starts, ends = np.flatnonzero(row == 1), np.flatnonzero(row == -1) - 1
        runs = set(zip(starts.tolist(), ends.tolist(), strict=True))
        for x1, x2 in sorted(open_.keys() - runs):
            top = open_.pop((x1, x2))
            found.append([[x1, top], [x2, top], [x2, y - 1], [x1, y - 1]])
        for run in runs - open_.keys():
            open_[run] = y
    return found


def segzero(samples: Iterable[Sample], folder: Folder, options: Options) -> None:
    """Seg-Zero and VisionReasoner: `load_from_disk(DIR)["train"]`, a row a region, all splits.

    Pictures are stretched to 840 x 840; boxes end on the last pixel of an object, and the point
    lies where the object is thickest. There are no negatives: an empty answer earns nothing.
    """
    from datasets import Features, Image, Value

    features = Features(
        {
            **{name: Value("string") for name in ("id", "problem", "solution")},
            "image": Image(),
            **{name: Value("int64") for name in ("img_height", "img_width")},
        }
    )
    table = Rows(folder, features, "rows")
    count = 0
    for row in _rows(samples, folder):
        table.add(row)
        count += 1
    if count:
        save({"train": table}, str(folder.root))
    else:
        folder.say("segzero: no region is left, so there is no data set")


def _rows(samples: Iterable[Sample], folder: Folder) -> Iterator[dict[str, Any]]:
    for sample in samples:
        width, height = sample.value["width"], sample.value["height"]
        data = None
        if not phrases(sample.value):
            folder.lose(sample.key, None, "no phrase is left", "dropped")
        for number, (region, text) in enumerate(one_name(sample, folder)):
            objects = region["instances"] or [region["rle"]]
            if len(objects) > MOST_OBJECTS:
                why = f"more than {MOST_OBJECTS} objects are cut"
                folder.lose(sample.key, text, why, "dropped")
                continue
            if data is None:
                data = encode(cv2.resize(pixels(sample), (SIDE_PX, SIDE_PX)), "png")
                folder.files += 1
            solution = [_place(rle, width, height) for rle in objects]
            yield {
                "id": f"{sample.key}-{number}",
                "problem": text,
                "solution": json.dumps(solution),
                "image": {"bytes": data, "path": None},
                "img_height": height,
                "img_width": width,
            }


def _place(rle: Rle, width: int, height: int) -> dict[str, list[int]]:
    """Box and point of an object in pixels of the stretched picture."""
    x1, y1, x2, y2 = box_of(rle)
    x, y = thickest(rle)

    def stored(v: float, side: int) -> int:
        return min(int(v * SIDE_PX / side + 0.5), SIDE_PX - 1)

    box = [stored(x1, width), stored(y1, height), stored(x2 - 1, width), stored(y2 - 1, height)]
    at = [stored(x, width), stored(y, height)]
    return {"bbox_2d": box, "point_2d": at}


PARTS = exporters(
    {"reasonseg": reasonseg, "segzero": segzero},
    no_dialogues=("reasonseg", "segzero"),
    read={"reasonseg": ("jpeg_quality",)},
)
