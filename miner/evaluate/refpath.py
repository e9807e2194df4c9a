"""RefPath's boxes: expressions and where in the picture they point to.

A record a line in `*.jsonl` (train, val, testA, testB) beside the pictures: `image_id`, the
picture's name, and `image`, its path, where it is there; `bbox`, x1, y1, x2, y2 in px;
`expression`, a list of texts of which the first is meant, at times in brackets of its own;
`bbox_id`, `height` and `width`. From the set's card (fengluo/RefPath) and json2pt.py of
ssecv/PathVG.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from miner.core.errors import Refused
from miner.core.names import base

SUFFIX = ".jsonl"
_FOLDERS = ("", "images", "refpath_image")
_BRACKETS = ("[", "]")


class Box(NamedTuple):
    """An expression and its box.

    Attributes:
        image: file of the picture.
        expression: what is meant.
        box: x1, y1, x2, y2 in px, end-exclusive.
    """

    image: Path
    expression: str
    box: tuple[float, float, float, float]


def read_boxes(path: Path, faults: Counter[str]) -> Iterator[Box]:
    """Boxes of a file, or of all files of a folder, in their order.

    Args:
        path: `*.jsonl`, or a folder with some.
        faults: counts what is wrong with records: `malformed_json`, `no_record`, `no_box`,
            `no_expression`, `missing_image`.

    Raises:
        Refused: there is no such file, or none in the folder.
    """
    files = sorted(path.glob(f"*{SUFFIX}")) if path.is_dir() else [path]
    if not files or not all(file.is_file() for file in files):
        raise Refused(f"--boxes {path}: expected a JSON lines file, or a folder with some")
    for file in files:
        with file.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if line.strip():
                    found = _box(line, file.parent)
                    if isinstance(found, Box):
                        yield found
                    else:
                        faults[found] += 1


def _box(line: str, folder: Path) -> Box | str:
    """The box of a line, or what is wrong with it."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return "malformed_json"
    if not isinstance(record, Mapping):
        return "no_record"
    box = _corners(record.get("bbox"))
    if box is None:
        return "no_box"
    expression = _expression(record.get("expression"))
    if not expression:
        return "no_expression"
    image = _image(record, folder)
    return "missing_image" if image is None else Box(image, expression, box)


def _corners(value: Any) -> tuple[float, float, float, float] | None:
    try:
        x1, y1, x2, y2 = map(float, value)
    except (TypeError, ValueError):
        return None
    sound = all(map(math.isfinite, (x1, y1, x2, y2))) and x1 < x2 and y1 < y2
    return (x1, y1, x2, y2) if sound else None


def _expression(value: Any) -> str:
    first = value[0] if isinstance(value, list) and value else value
    text = first.strip() if isinstance(first, str) else ""
    if text.startswith(_BRACKETS[0]) and text.endswith(_BRACKETS[1]):
        return text[1:-1].strip()
    return text


def _image(record: Mapping[str, Any], folder: Path) -> Path | None:
    """File of the picture, by its base name, in one of the folders where it may lie."""
    said = (record.get("image"), record.get("image_id"))
    names = [base(name) for name in said if isinstance(name, str) and base(name)]
    places = (folder / where / name for where in _FOLDERS for name in names)
    return next((place for place in places if place.is_file()), None)
