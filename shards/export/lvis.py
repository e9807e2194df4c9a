"""LVIS: which categories a picture was checked for, and which it may have more of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from pycocotools import mask as coco_masks

from shards.export.folder import Folder, Sample
from shards.export.masks import box_of, region_polygons
from shards.export.options import Options, exporters
from shards.export.spool import CocoFile
from shards.known import absent, unsettled

RARE, COMMON = 10, 100  # pictures up to which LVIS calls a category rare or common


def lvis(samples: Iterable[Sample], folder: Folder, options: Options) -> None:
    """LVIS: `annotations/lvis_{split}.json`, `images/{split}/`; a category is a concept.

    What is denied and not found is in `neg_category_ids`; what is named without a mask, in doubt,
    or perhaps not all there in `not_exhaustive_category_ids`. Of the rest LVIS judges nothing. What
    is found where a mask did not stand up is of such a category, and is forgiven without an area.
    """
    files: dict[str, CocoFile] = {}
    categories: dict[str, int] = {}
    numbers: Counter[str] = Counter()
    pictures: Counter[str] = Counter()
    objects: Counter[str] = Counter()
    for sample in samples:
        split = sample.split
        if split not in files:
            files[split] = CocoFile(folder, f"annotations/lvis_{split}.json")
        numbers[f"image {split}"] += 1
        files[split].image(
            sample,
            numbers[f"image {split}"],
            coco_url=f"http://images.cocodataset.org/{split}/{sample.name}",
            **asked(sample, categories, options),
        )
        folder.put(f"images/{split}/{sample.name}", sample.image)
        for region in sample.value["regions"]:
            category = categories.setdefault(region["concept"], len(categories) + 1)
            pictures[region["concept"]] += 1
            for rle in region["instances"] or [region["rle"]]:
                numbers[split] += 1
                objects[region["concept"]] += 1
                x1, y1, x2, y2 = box_of(rle)
                files[split].annotation(
                    {
                        "id": numbers[split],
                        "image_id": numbers[f"image {split}"],
                        "category_id": category,
                        "segmentation": region_polygons(rle),
                        "area": int(coco_masks.area(dict(rle))),
                        "bbox": [x1, y1, x2 - x1, y2 - y1],
                    }
                )
    rows = [_category(name, i, pictures[name], objects[name]) for name, i in categories.items()]
    for file in files.values():
        file.finish(rows)


def asked(sample: Sample, categories: dict[str, int], options: Options) -> Mapping[str, list[int]]:
    """Categories that the picture is known not to have, and those it may have more of."""
    gone = [categories.setdefault(c, len(categories) + 1) for c in absent(sample.value)]
    open_ = [
        categories.setdefault(c, len(categories) + 1)
        for c in unsettled(sample.value, options.certain)
    ]
    return {"neg_category_ids": sorted(gone), "not_exhaustive_category_ids": sorted(open_)}


def _category(name: str, number: int, pictures: int, objects: int) -> dict[str, Any]:
    return {
        "id": number,
        "name": name,
        "synonyms": [name],
        "synset": f"{name.replace(' ', '_')}.n.01",
        "def": name,
        "image_count": pictures,
        "instance_count": objects,
        "frequency": "r" if pictures <= RARE else "c" if pictures <= COMMON else "f",
    }


PARTS = exporters({"lvis": lvis}, no_dialogues=("lvis",), read={"lvis": ("certain",)})
