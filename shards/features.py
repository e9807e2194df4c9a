"""Types of a sample's members for `datasets.load_dataset("webdataset", features=FEATURES)`.

Without them, types come from the first five samples, and what differs later is silently lost.
"""

from __future__ import annotations

from typing import Any

from datasets import Features, Image, Value

from filters.scores import SCORES

_RLE = {"size": [Value("int32")], "counts": Value("string")}


def _numbers(group: str) -> dict[str, Any]:
    names = (n.removeprefix(f"{group}_") for n in SCORES if n.startswith(f"{group}_"))
    return {name: Value("float64") for name in sorted(names)}


SAMPLE: dict[str, Any] = {
    "key": Value("string"),
    "corpus": Value("string"),
    "row": Value("int64"),
    "image": Value("string"),
    "image_sha256": Value("string"),
    "group": Value("string"),
    "license": Value("string"),
    "source": Value("string"),
    "split": Value("string"),
    "caption": Value("string"),
    "turns": [{"role": Value("string"), "text": Value("string")}],
    "width": Value("int32"),
    "height": Value("int32"),
    "mpp": Value("float64"),
    "mpp_source": Value("string"),
    "mentions": [
        {
            "start": Value("int32"),
            "end": Value("int32"),
            "text": Value("string"),
            "concept": Value("string"),
            "kind": Value("string"),
            "polarity": Value("string"),
            "sources": [Value("string")],
            "groundable": Value("bool"),
            "reason": Value("string"),
            "regions": [Value("int32")],
            "turn": Value("int32"),
        }
    ],
    "regions": [
        {
            "concept": Value("string"),
            "kind": Value("string"),
            "asked_as": Value("string"),
            "rle": _RLE,
            "instances": [_RLE],
            "bbox": [Value("int32")],
            "area_px": Value("int64"),
            "segmenter": Value("string"),
            "prompt": Value("string"),
            "confidence": Value("float64"),
            "score": Value("float64"),
            "clip": _numbers("clip"),
            "ks": _numbers("ks"),
            "geometry": _numbers("geometry"),
            "biomedparse_p": Value("float64"),
            "scores": [{"name": Value("string"), "value": Value("float64")}],
            "q_value": Value("float64"),
        }
    ],
    "negatives": [
        {
            "concept": Value("string"),
            "why": Value("string"),
            "start": Value("int32"),
            "end": Value("int32"),
        }
    ],
    "facts": [
        {
            "kind": Value("string"),
            "value": Value("string"),
            "start": Value("int32"),
            "end": Value("int32"),
        }
    ],
    "strata": [Value("string")],
    "members": [Value("string")],
}

FEATURES = Features(
    {
        "__key__": Value("string"),
        "__url__": Value("string"),
        "jpg": Image(),
        "png": Image(),
        "json": SAMPLE,
    }
)
