"""An export, read back by its consumer's rules, beside the samples it was made from."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from miner.core.masks import decode
from shards.export.boxed import square_box
from shards.export.folder import Sample
from shards.export.masks import ALL_OVER, boxes
from shards.export.options import Options
from shards.export.phrases import Phrase, phrases
from shards.export.run import export
from tests.shards import consumers

MAX_BOXES = Options().max_boxes
BIOMEDPARSE_PX = 1024
# Dialects in which a sample without phrases is still a picture with its caption.
CAPTIONED = ("llava", "qwen", "ms-swift", "llamafactory")


class Outcome(NamedTuple):
    """What became of the phrases (objects, where a dialect has no phrases) of an export.

    Attributes:
        same: seen by the consumer with exactly the source's mask or boxes.
        lost: not seen, and said so in LOSSES.jsonl.
        wrong: neither; key and phrase.
    """

    same: int
    lost: int
    wrong: list[tuple[str, str]]


def read_back(dialect: str, source: Sequence[Sample], out: Path) -> Outcome:
    """Export samples of one split `train`, read the export, and compare.

    Args:
        dialect: one of the exporters that ship.
        source: the samples.
        out: folder for the export.
    """
    # Molmo's points count: what may have more is left out, where one does not ask for it.
    export(source, dialect, out, Options(certain=0.0 if dialect == "molmo" else 0.9))
    lines = (out / "LOSSES.jsonl").read_text(encoding="utf-8").splitlines()
    losses: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for loss in map(json.loads, lines):
        losses[loss["key"]].append(loss)
    if dialect in ("coco", "fiftyone", "lvis", "qupath"):
        return _objects(dialect, source, out)
    seen: dict[str, list[tuple[str, Any]]] = defaultdict(list)
    for key, text, what in READERS[dialect](out):
        seen[key].append((text, what))
    same, lost, wrong = 0, 0, []
    for sample in source:
        silent = not phrases(sample.value) and not losses[sample.key]
        if silent and dialect not in CAPTIONED:
            wrong.append((sample.key, "left out without a word"))
        for phrase in phrases(sample.value):
            if any(EQUAL[dialect](sample, phrase, t, w) for t, w in seen[sample.key]):
                same += 1
            elif _said(phrase, losses[sample.key]):
                lost += 1
            else:
                wrong.append((sample.key, phrase.text))
    known = {s.key: phrases(s.value) for s in source}
    for key, found in seen.items():
        sample = next(s for s in source if s.key == key)
        for text, what in found:
            if not any(EQUAL[dialect](sample, p, text, what) for p in known[key]):
                wrong.append((key, text))
    return Outcome(same, lost, wrong)


def _each(pattern: str, reader: Callable) -> Callable[[Path], Iterable[consumers.Seen]]:
    def read(out: Path) -> Iterable[consumers.Seen]:
        for path in sorted(out.glob(pattern)):
            yield from reader(path)

    return read


def _biomedparse(out: Path) -> Iterable[consumers.Seen]:
    root = out / "BiomedSeg/Histomine"
    return consumers.biomedparse(root, "train") if root.exists() else ()


def _sam3(out: Path) -> Iterable[tuple[str, str, Any]]:
    return consumers.sam3(out / "train") if (out / "train").exists() else ()


READERS: dict[str, Callable[[Path], Iterable[tuple[str, str, Any]]]] = {
    "granDf": _each("GranDf/annotations/train/GranDf_HA_GCG_train.json", consumers.grandf),
    "sa2va-gcg": _each("annotations/GranDf_HA_GCG_train-*.json", consumers.grandf_columns),
    "xsam": _each("annotations/GranDf_HA_GCG_train.json", consumers.xsam),
    "sa2va": _each("train/annotations.json", consumers.sa2va),
    "refcoco": consumers.refcoco,
    "muse": _each("muse_train.json", consumers.muse),
    "kosmos2": lambda out: consumers.kosmos2(out / "train"),
    "llava": _each("train.json", consumers.llava),
    "qwen": _each("train.json", consumers.qwen),
    "biomedparse": _biomedparse,
    "sam3": lambda out: (s for s in _sam3(out) if s[2] is not None),
    "ms-swift": _each("train.jsonl", consumers.swift),
    "llamafactory": consumers.llamafactory,
    "reasonseg": lambda out: consumers.reasonseg(out / "reason_seg/ReasonSeg/train"),
    "segzero": consumers.segzero,
    "vgd": lambda out: consumers.vgd(out / "coco_vgd/coco2017"),
    "sa2va-vp": _each("train/annotations.json", consumers.sa2va_vp),
    "glamm-regions": _each("visual_genome/train.json", consumers.glamm_regions),
    "medplib": lambda out: consumers.medplib(out) if (out / "train.json").exists() else (),
    "paligemma": _each("train.jsonl", consumers.paligemma),
    "molmo": lambda out: consumers.molmo(out) if (out / "points-pointing").exists() else (),
    "energon": consumers.energon,
}


def _mask(phrase: Phrase) -> np.ndarray:
    return decode(phrase.region["rle"]["counts"], *phrase.region["rle"]["size"])


def _size(sample: Sample) -> tuple[int, int]:
    return sample.value["height"], sample.value["width"]


def _boxes(phrase: Phrase, most: int = MAX_BOXES, largest: float = ALL_OVER) -> np.ndarray:
    """x1, y1, x2, y2, (n, 4); see `shards.export.masks.boxes`."""
    return np.array(boxes(phrase.region, most, largest), float).reshape(-1, 4)


def _same_mask(sample: Sample, phrase: Phrase, text: str, mask: np.ndarray) -> bool:
    """Words equal but for what consumers do to them: case, outer quotes, spaces, a full stop."""
    same_words = text != "" and text.casefold() in phrase.text.casefold()
    return same_words and np.array_equal(mask, _mask(phrase))


def _same_fractions(sample: Sample, phrase: Phrase, text: str, found: list) -> bool:
    """Kosmos-2: its boxes mark the caption, so those of the whole picture stay."""
    spaced = "".join(" " if c.isspace() else c for c in phrase.text)
    height, width = _size(sample)
    wanted = _boxes(phrase, largest=1) / [width, height, width, height]
    return text == spaced and _close(found, wanted, 1e-9)


def _same_squares(sample: Sample, phrase: Phrase, text: str, found: list) -> bool:
    height, width = _size(sample)
    wanted = [square_box(b, width, height) for b in boxes(phrase.region, MAX_BOXES)]
    return text == phrase.text and _close(found, wanted, 6e-4)


def _same_resized(sample: Sample, phrase: Phrase, text: str, found: list) -> bool:
    height, width = _size(sample)
    h, w = consumers.smart_resize(height, width)
    scale = [w / width, h / height, w / width, h / height]
    wanted = _boxes(phrase) * scale
    return text == phrase.text and _close(found, wanted, 0.51)


def _same_padded(sample: Sample, phrase: Phrase, text: str, mask: np.ndarray) -> bool:
    """BiomedParse: the concept is a further sentence; the padded picture is scaled back."""
    height, width = _size(sample)
    side = max(height, width)
    top, left = (side - height) // 2, (side - width) // 2
    middle = (2 * np.arange(side) + 1) * BIOMEDPARSE_PX // (2 * side)  # of what one was spread to
    back = mask[np.ix_(middle, middle)][top : top + height, left : left + width]
    same_words = text in (phrase.text, phrase.concept)
    return same_words and np.array_equal(back, _mask(phrase))


def _same_plain(sample: Sample, phrase: Phrase, text: str, mask: np.ndarray) -> bool:
    """SAM 3: phrases in lower case with single blanks."""
    return text == " ".join(phrase.text.lower().split()) and np.array_equal(mask, _mask(phrase))


def _same_pixels(sample: Sample, phrase: Phrase, text: str, found: list) -> bool:
    return text == phrase.text and found == boxes(phrase.region, MAX_BOXES)


def _same_thousand(sample: Sample, phrase: Phrase, text: str, found: list) -> bool:
    height, width = _size(sample)
    scale = [1000 / width, 1000 / height] * 2
    wanted = _boxes(phrase) * scale
    return text == phrase.text and _close(found, wanted, 1.01)


def _same_stretched(sample: Sample, phrase: Phrase, text: str, found: list) -> bool:
    """Seg-Zero: a box has a point beside it, so those of the whole picture stay."""
    height, width = _size(sample)
    scale = [840 / width, 840 / height] * 2
    wanted = (_boxes(phrase, 120, largest=1) - [0, 0, 1, 1]) * scale
    return text == phrase.text and _close(found, np.minimum(wanted, 839), 0.51)


def _same_concept(sample: Sample, phrase: Phrase, text: str, mask: np.ndarray) -> bool:
    return text == phrase.concept and np.array_equal(mask, _mask(phrase))


def _described_mask(sample: Sample, phrase: Phrase, text: str, mask: np.ndarray) -> bool:
    begins = text.startswith(f"{phrase.text.replace('<', '').replace('>', '')}, ")
    return begins and np.array_equal(mask, _mask(phrase))


def _described_box(sample: Sample, phrase: Phrase, text: str, found: list) -> bool:
    return text.startswith(f"{phrase.text}, ") and found == list(phrase.region["bbox"])


def _same_locations(sample: Sample, phrase: Phrase, text: str, found: list) -> bool:
    height, width = _size(sample)
    wanted = _boxes(phrase) / ([width, height] * 2)
    return text == phrase.text and _close(found, wanted, 0.51 / 1023)


def _in_each_object(sample: Sample, phrase: Phrase, text: str, found: list) -> bool:
    """Molmo: a point inside of each object."""
    objects = [decode(r["counts"], *r["size"]) for r in phrase.region["instances"]]
    height, width = _size(sample)
    places = [(int(y / 100 * height), int(x / 100 * width)) for x, y in found]
    inside = len(places) == len(objects) and all(
        mask[place] for mask, place in zip(objects, places, strict=True)
    )
    return text == " ".join(phrase.text.lower().split()) and inside


def _close(found: Sequence, wanted: Any, tolerance: float) -> bool:
    return len(found) == len(wanted) and np.allclose(found, wanted, rtol=0, atol=tolerance)


EQUAL: dict[str, Callable[[Sample, Phrase, str, Any], bool]] = {
    **dict.fromkeys(("granDf", "sa2va-gcg", "xsam", "sa2va", "refcoco", "muse"), _same_mask),
    "kosmos2": _same_fractions,
    "llava": _same_squares,
    "qwen": _same_resized,
    "biomedparse": _same_padded,
    "sam3": _same_plain,
    "ms-swift": _same_pixels,
    "llamafactory": _same_thousand,
    **dict.fromkeys(("reasonseg", "medplib"), _same_mask),
    "segzero": _same_stretched,
    "vgd": _same_concept,
    "sa2va-vp": _described_mask,
    "glamm-regions": _described_box,
    "paligemma": _same_locations,
    "molmo": _in_each_object,
    "energon": _same_mask,
}


def _said(phrase: Phrase, losses: Sequence[dict[str, Any]]) -> bool:
    """Whether LOSSES.jsonl tells of the phrase, or of the whole sample."""
    return any(
        x["phrase"] in (phrase.text, phrase.concept)
        or (x["phrase"] is None and x["done"] == "dropped")
        for x in losses
    )


def _objects(dialect: str, source: Sequence[Sample], out: Path) -> Outcome:
    """What people look at: one annotation per object, in the order of the sample."""
    found: dict[str, list[tuple[str, np.ndarray]]] = defaultdict(list)
    if dialect == "fiftyone":
        for key, name, mask in consumers.fiftyone(out):
            found[key].append((name, mask))
    elif dialect != "qupath":
        stem = {"coco": "instances", "lvis": "lvis"}[dialect]
        for key, name, mask in consumers.coco_masks(out / f"annotations/{stem}_train.json"):
            found[key].append((name, mask))
    same, wrong = 0, []
    for sample in source:
        if dialect == "qupath":
            path = out / f"train/{sample.key}.geojson"
            found[sample.key] = list(consumers.qupath(path, *_size(sample)))
        wanted = [
            (r["concept"], decode(rle["counts"], *rle["size"]))
            for r in sample.value["regions"]
            for rle in r["instances"] or [r["rle"]]
        ]
        seen = found[sample.key]
        if len(seen) != len(wanted):
            wrong.append((sample.key, f"{len(seen)} objects of {len(wanted)}"))
            continue
        for (concept, mask), (name, other) in zip(wanted, seen, strict=True):
            if concept == name and np.array_equal(mask, other):
                same += 1
            else:
                wrong.append((sample.key, concept))
    return Outcome(same, 0, wrong)
