"""SAM 3: COCO for its training loader, SA-Co for its evaluation, and a loader of what is known."""

from __future__ import annotations

import importlib.resources
from collections.abc import Iterable, Mapping
from typing import Any

from pycocotools import mask as coco_masks

from shards.export.folder import Folder, JsonList, Sample
from shards.export.masks import box_of
from shards.export.options import Options, exporters
from shards.export.phrases import phrases as spoken
from shards.export.spool import CocoFile
from shards.known import Checked, checked, is_whole, plain
from shards.sample import Region, Rle

MOST_OBJECTS = 200  # FilterFindQueriesWithTooManyOut of the shipped configurations
ADVICE = (
    "sam3: COCO_FROM_JSON asks every category of every picture and takes silence for absence; train"
    " with include_negatives=False, or with sam3_loader.py, which asks what saco.json lists"
)


def sam3(samples: Iterable[Sample], folder: Folder, options: Options) -> None:
    """SAM 3: `{split}/_annotations.coco.json` beside the pictures, `{split}/saco.json`.

    A category is a phrase in lower case. Only phrases whose answer is known are there: a denied one
    is an annotation with `iscrowd` 1 and no segmentation, which the shipped filters keep as a
    query without objects.
    """
    splits: dict[str, _Split] = {}
    categories: dict[str, int] = {}
    for sample in samples:
        if sample.split not in splits:
            splits[sample.split] = _Split(folder, sample.split)
        phrases = checked(sample.value)
        if not phrases:
            folder.lose(sample.key, None, "no phrase is left", "dropped")
            continue
        told = {c.text: c.region for c in phrases}
        for p in spoken(sample.value):
            if told.get(plain(p.text)) is not p.region:
                why = "the same words stand for another region of the picture"
                folder.lose(sample.key, p.text, why, "dropped")
        for phrase in phrases:
            if phrase.region and len(_objects(phrase.region)) > MOST_OBJECTS:
                why = f"the shipped filters drop a phrase of more than {MOST_OBJECTS} objects"
                folder.lose(sample.key, phrase.text, why, "kept")
        splits[sample.split].add(sample, phrases, categories, options)
        folder.put(f"{sample.split}/{sample.name}", sample.image)
    for split in splits.values():
        split.finish(categories)
    source = importlib.resources.files("shards.export") / "sam3_loader.py"
    folder.put("sam3_loader.py", source.read_bytes())
    folder.say(ADVICE)


def _objects(region: Region) -> list[Rle]:
    return list(region["instances"]) or [region["rle"]]


class _Split:
    """Both files of a split while they grow."""

    def __init__(self, folder: Folder, split: str):
        self._coco = CocoFile(folder, f"{split}/_annotations.coco.json")
        self._saco = folder.open_text(f"{split}/saco.json")
        self._saco.write('{"info": {"description": "histomine"}, "images": ')
        self._pairs = JsonList(self._saco)
        self._scratch = folder.spool()
        self._answers = JsonList(self._scratch)
        self._images = self._annotations = self._pair = self._answer = 0

    def add(
        self,
        sample: Sample,
        phrases: list[Checked],
        categories: dict[str, int],
        options: Options,
    ) -> None:
        self._images += 1
        self._coco.image(sample, self._images, key=sample.key)
        for phrase in phrases:
            category = categories.setdefault(phrase.text, len(categories) + 1)
            self._pair += 1
            self._pairs.add(self._question(sample, phrase, category, options))
            if phrase.region is None:
                self._annotate(category, None, sample)
                continue
            for rle in _objects(phrase.region):
                self._annotate(category, rle, sample)
                self._answered(rle, sample)

    def _question(
        self, sample: Sample, phrase: Checked, category: int, options: Options
    ) -> dict[str, Any]:
        region = phrase.region
        whole = region is None or is_whole(region, options.certain)
        single = region is None or (whole and bool(region["instances"]))
        return {
            "id": self._pair,
            "file_name": sample.name,
            "text_input": phrase.text,
            "queried_category": str(category),
            "width": sample.value["width"],
            "height": sample.value["height"],
            "is_instance_exhaustive": int(single),
            "is_pixel_exhaustive": int(whole),
        }

    def _annotate(self, category: int, rle: Rle | None, sample: Sample) -> None:
        width, height = sample.value["width"], sample.value["height"]
        self._annotations += 1
        x1, y1, x2, y2 = box_of(rle) if rle else [0, 0, width, height]
        self._coco.annotation(
            {
                "id": self._annotations,
                "image_id": self._images,
                "category_id": category,
                "segmentation": dict(rle) if rle else [],
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "area": int(coco_masks.area(dict(rle))) if rle else 0,
                "iscrowd": 0 if rle else 1,
            }
        )

    def _answered(self, rle: Rle, sample: Sample) -> None:
        width, height = sample.value["width"], sample.value["height"]
        x1, y1, x2, y2 = box_of(rle)
        self._answer += 1
        self._answers.add(
            {
                "id": self._answer,
                "image_id": self._pair,
                "category_id": 1,
                "segmentation": dict(rle),
                "bbox": [x1 / width, y1 / height, (x2 - x1) / width, (y2 - y1) / height],
                "area": int(coco_masks.area(dict(rle))) / (width * height),
                "iscrowd": 0,
            }
        )

    def finish(self, categories: Mapping[str, int]) -> None:
        """Write what is left."""
        self._coco.finish([{"id": i, "name": n} for n, i in categories.items()])
        self._pairs.close()
        self._answers.close()
        self._scratch.seek(0)
        self._saco.write(', "annotations": ')
        while block := self._scratch.read(1 << 20):
            self._saco.write(block)
        self._saco.write(', "categories": [{"id": 1, "name": "object"}]}\n')


PARTS = exporters({"sam3": sam3}, no_dialogues=("sam3",), read={"sam3": ("certain",)})
