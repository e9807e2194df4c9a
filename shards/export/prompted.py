"""Region to text: a mask or box as the question, the phrase as the answer."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

import cv2
import numpy as np
from pycocotools import mask as coco_masks

from shards.export.folder import Folder, Lists, Sample
from shards.export.masks import box_of, boxes, region_mask, region_polygons, unboxed
from shards.export.options import Options, exporters
from shards.export.phrases import SPECIAL
from shards.export.reasoning import one_name
from shards.export.spool import CocoFile
from shards.sample import Region, Rle

SA2VA_GRID = 16  # cells to the side that Sa2VA shrinks a prompt to
SA2VA_LEAST = 4
MEDPLIB_GRID = 24
MEDPLIB_TOKENS = re.compile(rf"{SPECIAL.pattern}|</?mask>|</?region>")
PALIGEMMA_MARKS = re.compile(rf"{SPECIAL.pattern}|<loc|<seg|;|\n")
XSAM_LEAST_PX = 6  # smaller parts give no point, box or scribble
GLAMM_LEAST_PX = 32  # smaller pictures are dropped


def vgd(samples: Iterable[Sample], folder: Folder, options: Options) -> None:
    """X-SAM VGD: `coco_vgd/coco2017/annotations/instances_{split}2017.json`, pictures beside it.

    A category is a concept; regions are prompts, so texts are lost. `data_path` is a cache that
    X-SAM writes itself: delete it with a new export.
    """
    files: dict[str, CocoFile] = {}
    categories: dict[str, int] = {}
    numbers: Counter[str] = Counter()
    for sample in samples:
        split = f"{sample.split}2017"
        if not sample.value["regions"]:
            folder.lose(sample.key, None, "no region is left", "dropped")
            continue
        if split not in files:
            name = f"coco_vgd/coco2017/annotations/instances_{split}.json"
            files[split] = CocoFile(folder, name)
        numbers[f"image {split}"] += 1
        files[split].image(sample, numbers[f"image {split}"])
        folder.put(f"coco_vgd/coco2017/{split}/{sample.name}", sample.image)
        for region in sample.value["regions"]:
            category = categories.setdefault(region["concept"], len(categories) + 1)
            for rle in region["instances"] or [region["rle"]]:
                numbers[split] += 1
                number, image = numbers[split], numbers[f"image {split}"]
                row = annotation(number, image, rle)
                files[split].annotation(row | {"category_id": category})
                if row["area"] < XSAM_LEAST_PX:
                    why = f"parts below {XSAM_LEAST_PX} px get no prompt"
                    folder.lose(sample.key, region["concept"], why, "kept")
    names = [{"id": i, "name": n, "supercategory": "histology"} for n, i in categories.items()]
    for file in files.values():
        file.finish(names)


def annotation(number: int, image: int, rle: Rle) -> dict[str, Any]:
    """COCO annotation of one mask, with exact polygons, without its category."""
    x1, y1, x2, y2 = box_of(rle)
    return {
        "id": number,
        "image_id": image,
        "segmentation": region_polygons(rle),
        "area": int(coco_masks.area(dict(rle))),
        "bbox": [x1, y1, x2 - x1, y2 - y1],
        "iscrowd": 0,
    }


def sa2va_vp(samples: Iterable[Sample], folder: Folder, options: Options) -> None:
    """Sa2VA visual prompts: `{split}/annotations.json`, `{split}/images/`; a description a mask."""
    lists = Lists(folder, "{split}/annotations.json")
    for sample in samples:
        masks, texts = [], []
        for region, name in one_name(sample, folder):
            if _cells(region_mask(region["rle"]), SA2VA_GRID) < SA2VA_LEAST:
                why = f"below {SA2VA_LEAST} of {SA2VA_GRID} x {SA2VA_GRID} cells drops the sample"
                folder.lose(sample.key, name, why, "dropped")
                continue
            masks.append({"segmentation": dict(region["rle"])})
            texts.append(described(name, region, sample).replace("<", "").replace(">", ""))
        if not masks:
            folder.lose(sample.key, None, "no region is left", "dropped")
            continue
        size = {"height": sample.value["height"], "width": sample.value["width"]}
        entry = {"file_name": sample.name, **size, "annotation": masks, "description": texts}
        lists[sample.split].add(entry)
        folder.put(f"{sample.split}/images/{sample.name}", sample.image)


def described(text: str, region: Region, sample: Sample) -> str:
    """A phrase and what is measured of its mask: the share of the picture, and mm² where known."""
    area, mpp = region["area_px"], sample.value["mpp"]
    whole = sample.value["height"] * sample.value["width"]
    words = f"{text}, {100 * area / whole:.2g}% of the picture"
    return words if mpp is None else f"{words}, {area * mpp**2 / 1e6:.2g} mm2"


def _cells(mask: np.ndarray, grid: int) -> int:
    """Cells of a grid that a mask keeps when it is shrunk by the nearest pixel."""
    height, width = mask.shape
    rows, columns = np.arange(grid) * height // grid, np.arange(grid) * width // grid
    return int(mask[np.ix_(rows, columns)].sum())


def glamm_regions(samples: Iterable[Sample], folder: Folder, options: Options) -> None:
    """GLaMM region captions: `visual_genome/{split}.json`, `visual_genome/images/`."""
    files: dict[str, CocoFile] = {}
    numbers: Counter[str] = Counter()
    for sample in samples:
        found = one_name(sample, folder)
        if not found or min(sample.value["height"], sample.value["width"]) < GLAMM_LEAST_PX:
            why = "no phrase is left" if not found else f"below {GLAMM_LEAST_PX} px"
            folder.lose(sample.key, None, why, "dropped")
            continue
        if sample.split not in files:
            files[sample.split] = CocoFile(folder, f"visual_genome/{sample.split}.json")
        file, split = files[sample.split], sample.split
        numbers[f"image {split}"] += 1
        file.image(sample, numbers[f"image {split}"])
        folder.put(f"visual_genome/images/{sample.name}", sample.image)
        for region, name in found:
            numbers[split] += 1
            row = annotation(numbers[split], numbers[f"image {split}"], region["rle"])
            caption = described(name, region, sample)
            file.annotation({**row, "category_id": 1, "caption": caption})
    for file in files.values():
        file.finish([{"id": 1, "name": "region"}])


def medplib(samples: Iterable[Sample], folder: Folder, options: Options) -> None:
    """MedPLIB: `{split}.json`, `images/`, `masks/`; one mask file a turn, in question or answer."""
    lists = Lists(folder, "{split}.json")
    for sample in samples:
        turns: list[dict[str, str]] = []
        for number, (region, name) in enumerate(one_name(sample, folder, MEDPLIB_TOKENS)):
            mask = region_mask(region["rle"])
            file = f"masks/{sample.key}-{number}.png"
            folder.put(file, cv2.imencode(".png", mask.astype(np.uint8) * 255)[1].tobytes())
            turns += _turn(f"Segment the {name}.", f"It is <SEG> . <mask>{file}</mask>")
            if _cells(mask, MEDPLIB_GRID):
                question = f"What is in this region? <region>{file}</region>"
                turns += _turn(question, described(name, region, sample))
            else:
                why = f"no cell of {MEDPLIB_GRID} x {MEDPLIB_GRID} is left: all labels are lost"
                folder.lose(sample.key, name, why, "dropped")
        if not turns:
            folder.lose(sample.key, None, "no phrase is left", "dropped")
            continue
        turns[0]["value"] = f"{options.image_token}\n{turns[0]['value']}"
        entry = {"id": sample.key, "image": f"images/{sample.name}", "conversations": turns}
        lists[sample.split].add(entry)
        folder.put(f"images/{sample.name}", sample.image)


def _turn(question: str, answer: str) -> list[dict[str, str]]:
    return [{"from": "human", "value": question}, {"from": "gpt", "value": answer}]


def paligemma(samples: Iterable[Sample], folder: Folder, options: Options) -> None:
    """PaliGemma: `{split}.jsonl` with `image`, `prefix`, `suffix`; boxes as location tokens.

    Masks would need the weights of its mask codec: boxes only.
    """
    files: dict[str, Any] = {}
    for sample in samples:
        width, height = sample.value["width"], sample.value["height"]
        rows = []
        for region, name in one_name(sample, folder, PALIGEMMA_MARKS):
            found = boxes(region, options.max_boxes)
            if not found:
                folder.lose(sample.key, name, unboxed(region, options.max_boxes), "dropped")
                continue
            spelled = [_locations(box, width, height, name) for box in found]
            rows.append({"prefix": f"detect {name}", "suffix": " ; ".join(spelled)})
        if not rows:
            folder.lose(sample.key, None, "no phrase is left", "dropped")
            continue
        if sample.split not in files:
            files[sample.split] = folder.open_text(f"{sample.split}.jsonl")
        for row in rows:
            line = {"image": f"images/{sample.name}", **row}
            files[sample.split].write(json.dumps(line) + "\n")
        folder.put(f"images/{sample.name}", sample.image)


def _locations(box: list[int], width: int, height: int, text: str) -> str:
    x1, y1, x2, y2 = box
    values = (y1 / height, x1 / width, y2 / height, x2 / width)
    return "".join(f"<loc{round(v * 1023):04d}>" for v in values) + f" {text}"


PARTS = exporters(
    {
        "vgd": vgd,
        "sa2va-vp": sa2va_vp,
        "glamm-regions": glamm_regions,
        "medplib": medplib,
        "paligemma": paligemma,
    },
    no_dialogues=("vgd", "sa2va-vp", "glamm-regions", "medplib", "paligemma"),
    read={"medplib": ("image_token",), "paligemma": ("max_boxes",)},
)
