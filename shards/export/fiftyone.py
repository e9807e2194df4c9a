"""FiftyOne: a folder that `fiftyone.Dataset.from_dir` opens as a `FiftyOneDataset`.

Written in the plain form of that layout, whose `metadata.json` states no version of FiftyOne: its
importer then reads `samples.json` as documents, not as a dump of its database.
"""

from __future__ import annotations

import base64
import io
import zlib
from collections.abc import Iterable
from typing import Any

import numpy as np

from shards.export.folder import Folder, JsonList, Sample
from shards.export.masks import cropped
from shards.export.options import Options, exporters
from shards.known import absent, unsettled
from shards.sample import Region, Rle

ADVICE = (
    "fiftyone: fiftyone.Dataset.from_dir(dataset_dir=FOLDER,"
    " dataset_type=fiftyone.types.FiftyOneDataset); tags are the splits"
)
NUDGE_PX = 1e-6  # FiftyOne rounds corners down, and 3 / 23 * 23 is below 3
DESCRIPTION = "Grounded captions mined by Histomine. What has no region is unknown, not absent."


def fiftyone(samples: Iterable[Sample], folder: Folder, options: Options) -> None:
    """FiftyOne: `samples.json`, `metadata.json`, `data/`; an object a detection with its mask.

    Of a sample `regions` (Detections), `absent` and `unsettled` (Classifications: denied and not
    found; perhaps more of it than the regions), `caption`, `key`, `corpus`, `group`, `license`.
    """
    info = {"description": DESCRIPTION}
    folder.put_json("metadata.json", {"name": "histomine", "media_type": "image", "info": info})
    file = folder.open_text("samples.json")
    file.write('{"samples": ')
    rows = JsonList(file)
    for sample in samples:
        value = sample.value
        folder.put(f"data/{sample.name}", sample.image)
        rows.add(
            {
                "filepath": f"data/{sample.name}",
                "tags": [sample.split],
                "metadata": {
                    "_cls": "ImageMetadata", "width": value["width"], "height": value["height"],
                },
                **{name: value[name] for name in ("key", "corpus", "group", "license", "caption")},
                "regions": {
                    "_cls": "Detections",
                    "detections": [
                        _detection(region, rle)
                        for region in value["regions"]
                        for rle in region["instances"] or [region["rle"]]
                    ],
                },
                "absent": _named(absent(value)),
                "unsettled": _named(unsettled(value, options.certain)),
            }
        )  # fmt: skip
    rows.close()
    file.write("}\n")
    folder.say(ADVICE)


def _named(concepts: Iterable[str]) -> dict[str, Any]:
    found = [{"_cls": "Classification", "label": c, "tags": []} for c in concepts]
    return {"_cls": "Classifications", "classifications": found}


def _detection(region: Region, rle: Rle) -> dict[str, Any]:
    """Box in fractions of the picture, and the mask within it."""
    mask, x, y = cropped(rle)
    (height, width), (all_height, all_width) = mask.shape, rle["size"]
    corner = (x + NUDGE_PX) / all_width, (y + NUDGE_PX) / all_height
    return {
        "_cls": "Detection",
        "label": region["concept"],
        "bounding_box": [*corner, width / all_width, height / all_height],
        "mask": {"$binary": {"base64": _packed(mask), "subType": "00"}},
        "confidence": region["score"],
        "tags": [],
        "segmenter": region["segmenter"],
        "prompt": region["prompt"],
        "q_value": region["q_value"],
    }


def _packed(mask: np.ndarray) -> str:
    """An array as FiftyOne stores it: NumPy's file format, deflated, in base64."""
    file = io.BytesIO()
    np.save(file, mask, allow_pickle=False)
    return base64.b64encode(zlib.compress(file.getvalue())).decode()


PARTS = exporters(
    {"fiftyone": fiftyone}, no_dialogues=("fiftyone",), read={"fiftyone": ("certain",)}
)
