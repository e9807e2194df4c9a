"""COCO for people and their tools, and BiomedParse's training folders."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import cv2
import numpy as np
from pycocotools import mask as coco_masks

from shards.export.folder import Folder, Sample
from shards.export.lvis import asked
from shards.export.masks import box_of, region_mask, region_polygons, uncompressed
from shards.export.options import Options, exporters
from shards.export.phrases import phrases
from shards.export.portable import pixels
from shards.export.spool import CocoFile
from shards.sample import IgnoredMask, Region

# BiomedParse's classes by index; the loader takes the index as it is.
BIOMEDPARSE_CLASSES = (
    "liver",
    "lung",
    "kidney",
    "pancreas",
    "heart anatomies",
    "brain anatomies",
    "eye anatomies",
    "vessel",
    "other organ",
    "tumor",
    "infection",
    "other lesion",
    "fluid disturbance",
    "other abnormality",
    "histology structure",
    "other",
)
TUMOR_WORDS = ("tumor", "tumour", "carcinoma", "neoplas", "sarcoma", "lymphoma", "melanoma")

COCO_ADVICE = (
    "coco: what has no annotation is unknown, not absent; only neg_category_ids are confirmed. A"
    " trainer that takes silence for absence (SAM 3's, most detectors) learns falsehoods: use sam3"
    " or lvis for those"
)


def coco(samples: Iterable[Sample], folder: Folder, options: Options) -> None:
    """COCO: `annotations/instances_{split}.json`, `images/{split}/`; single objects where known.

    Pictures have `neg_category_ids` and `not_exhaustive_category_ids` as in LVIS. Masks that did
    not stand up (`shards.keep_ignored`) are crowds: `iscrowd` and `ignore` are 1, and COCO's
    evaluation counts nothing in them.
    """
    files: dict[str, CocoFile] = {}
    categories: dict[str, int] = {}
    numbers: dict[str, int] = {}
    for sample in samples:
        split = sample.split
        if split not in files:
            files[split] = CocoFile(folder, f"annotations/instances_{split}.json")
        numbers[f"image {split}"] = image_id = numbers.get(f"image {split}", 0) + 1
        known = asked(sample, categories, options)
        files[split].image(
            sample, image_id, caption=sample.value["caption"], key=sample.key, **known
        )
        folder.put(f"images/{split}/{sample.name}", sample.image)
        for region in sample.value["regions"]:
            category = categories.setdefault(region["concept"], len(categories) + 1)
            for rle in region["instances"] or [region["rle"]]:
                numbers[split] = number = numbers.get(split, 0) + 1
                x1, y1, x2, y2 = box_of(rle)
                annotation = {
                    "id": number,
                    "image_id": image_id,
                    "category_id": category,
                    "segmentation": region_polygons(rle),
                    "area": int(coco_masks.area(dict(rle))),
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "iscrowd": 0,
                }
                if region["score"] is not None:
                    annotation["score"] = region["score"]
                files[split].annotation(annotation)
        for one in sample.value.get("ignored", ()):
            numbers[split] = number = numbers.get(split, 0) + 1
            category = categories.setdefault(one["concept"], len(categories) + 1)
            files[split].annotation(_crowd(one, number, image_id, category))
    names = [{"id": i, "name": n, "supercategory": "histology"} for n, i in categories.items()]
    for file in files.values():
        file.finish(names)
    folder.say(COCO_ADVICE)


def _crowd(ignored: IgnoredMask, number: int, image_id: int, category: int) -> dict[str, Any]:
    """An area of which nothing is known, as COCO writes what it does not judge."""
    x1, y1, x2, y2 = box_of(ignored["rle"])
    return {
        "id": number,
        "image_id": image_id,
        "category_id": category,
        "segmentation": uncompressed(ignored["rle"]),
        "area": int(coco_masks.area(dict(ignored["rle"]))),
        "bbox": [x1, y1, x2 - x1, y2 - y1],
        "iscrowd": 1,
        "ignore": 1,
    }


def biomedparse(samples: Iterable[Sample], folder: Folder, options: Options) -> None:
    """BiomedParse: `BiomedSeg/Histomine/{split}/`, `{split}_mask/`, `{split}.json`.

    Pictures and masks are padded to a square round the middle and scaled to `side_px`; masks are
    there before the JSON, since the loader waits for a missing one for ever.
    """
    writers: dict[str, CocoBiomed] = {}
    for sample in samples:
        by_concept: dict[str, list[str]] = {}
        regions: dict[str, Region] = {}
        for p in phrases(sample.value):
            regions[p.concept] = p.region
            by_concept.setdefault(p.concept, [])
            if p.text not in by_concept[p.concept]:
                by_concept[p.concept].append(p.text)
        if not regions:
            folder.lose(sample.key, None, "no phrase is left", "dropped")
            continue
        if sample.split not in writers:
            writers[sample.split] = CocoBiomed(folder, sample.split, options)
        writers[sample.split].add(sample, by_concept, regions)
    for writer in writers.values():
        writer.finish()


class CocoBiomed:
    """One split of BiomedParse's layout."""

    def __init__(self, folder: Folder, split: str, options: Options):
        self._root = f"BiomedSeg/Histomine/{split}"
        self._folder = folder
        self._split = split
        self._side = options.side_px
        self._file = CocoFile(folder, f"{self._root}.json")
        self._images = self._annotations = self._sentences = 0

    def add(self, sample: Sample, texts: dict[str, list[str]], regions: dict[str, Region]) -> None:
        """Write picture, masks and rows of one sample."""
        value = sample.value
        sites = [f["value"] for f in value["facts"] if f["kind"] == "site"]
        site = _plain(sites[0]) if sites else "tissue"
        stem = f"{sample.key.replace('_', '-')}_pathology_{site.replace(' ', '+')}"
        image = pixels(sample)
        side = self._side or max(image.shape[:2])
        if max(image.shape[:2]) > side:
            self._folder.lose(sample.key, None, f"pictures are {side} px: scaled down", "changed")
        squared = cv2.cvtColor(square(image, side, cv2.INTER_CUBIC), cv2.COLOR_RGB2BGR)
        self._folder.put(f"{self._root}/{stem}.png", cv2.imencode(".png", squared)[1].tobytes())
        number = self._images
        self._images += 1
        self._file.image(
            sample, number, file_name=f"{stem}.png", height=side, width=side, key=sample.key
        )
        for concept, phrases_of in texts.items():
            target = _plain(concept)
            mask_name = f"{stem}_{target.replace(' ', '+')}.png"
            mask = region_mask(regions[concept]["rle"]).astype(np.uint8) * 255
            squared = square(mask, side, cv2.INTER_NEAREST_EXACT)
            self._folder.put(
                f"{self._root}_mask/{mask_name}", cv2.imencode(".png", squared)[1].tobytes()
            )
            prompts = dict.fromkeys([f"{t} in {site} pathology" for t in (*phrases_of, concept)])
            sentences = []
            for prompt in prompts:
                sentences.append({"raw": prompt, "sent": prompt, "sent_id": self._sentences})
                self._sentences += 1
            self._file.annotation(
                {
                    "id": self._annotations,
                    "ann_id": self._annotations,
                    "ref_id": self._annotations,
                    "image_id": number,
                    "mask_file": mask_name,
                    "file_name": f"{stem}.png",
                    "split": self._split,
                    "iscrowd": 0,
                    "category_id": category(concept),
                    "sentences": sentences,
                    "sent_ids": [s["sent_id"] for s in sentences],
                }
            )
            self._annotations += 1

    def finish(self) -> None:
        """Write the JSON."""
        self._file.finish([{"id": i, "name": n} for i, n in enumerate(BIOMEDPARSE_CLASSES)])


def category(concept: str) -> int:
    """Index into BiomedParse's classes."""
    tumor = any(word in concept for word in TUMOR_WORDS)
    return BIOMEDPARSE_CLASSES.index("tumor" if tumor else "histology structure")


def square(image: np.ndarray, side: int, interpolation: int) -> np.ndarray:
    """Pad to a square round the middle with zeros, then scale to `side`.

    Args:
        image: uint8 (H, W) or (H, W, 3).
        side: of the result in pixels.
        interpolation: OpenCV's constant; for masks the exact nearest, which lies where the cubic
            picture does: the plain one is half a pixel off, a tenth of the IoU of a small mask.
    """
    height, width = image.shape[:2]
    longest = max(height, width)
    top, left = (longest - height) // 2, (longest - width) // 2
    bottom, right = longest - height - top, longest - width - left
    around = ((top, bottom), (left, right), *([(0, 0)] * (image.ndim - 2)))
    padded = np.pad(image, around)
    return cv2.resize(padded, (side, side), interpolation=interpolation)


def _plain(name: str) -> str:
    """Name without what file names give another meaning to: `_`, `+`, `.`, `/`, control codes."""
    kept = (c if c.isprintable() and c not in "_+./\\" else " " for c in name)
    return " ".join("".join(kept).split()) or "tissue"


PARTS = exporters(
    {"biomedparse": biomedparse, "coco": coco},
    no_dialogues=("biomedparse", "coco"),
    read={"biomedparse": ("side_px",), "coco": ("certain",)},
)
