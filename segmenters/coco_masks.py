"""Outlines of a COCO file, drawn at the size of the picture; one bad annotation costs itself."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco

from miner.core.errors import Refused
from miner.core.rle import run_lengths
from segmenters.label_maps import BadMask

# How far a polygon may reach beyond a picture whose size nothing states: roundings of tools, px.
_SLACK_PX = 2.0
_MAX_PIXELS = 1 << 28


@dataclasses.dataclass(frozen=True)
class Outline:
    """One annotation.

    Attributes:
        rings: polygons, float (n, 2) each, x and y; empty for run lengths.
        runs: run lengths down the columns, of 0 and 1 in turn; None for polygons.
        size: height and width that they were drawn on, None where nothing says.
        stated: whether the file's `images` have that size, so that it may be scaled.
        crowd: it holds several objects that nobody told apart.
    """

    rings: tuple[np.ndarray, ...]
    runs: np.ndarray | None
    size: tuple[int, int] | None
    stated: bool
    crowd: bool

    def draw(self, height: int, width: int) -> np.ndarray:
        """Mask, bool (height, width), scaled where the file says what it was drawn on.

        Raises:
            BadMask: `another_size`.
        """
        own = self.size or (height, width)
        scaled = self.stated and _same_shape(own, (height, width))
        if own != (height, width) and not scaled:
            raise BadMask("another_size")
        if self.runs is not None:
            flat = np.repeat(np.arange(len(self.runs)) % 2 == 1, self.runs)
            drawn = flat.reshape(own[1], own[0]).T
            rows = (np.arange(height) * 2 + 1) * own[0] // (2 * height)
            columns = (np.arange(width) * 2 + 1) * own[1] // (2 * width)
            return drawn[rows][:, columns]
        scale = np.array([width / own[1], height / own[0]])
        rings = [ring * scale for ring in self.rings]
        points = np.concatenate(rings)
        size = np.array([width, height])
        slack = size if self.stated else _SLACK_PX
        if (points < -slack).any() or (points > size + slack).any():
            raise BadMask("another_size")
        packed = coco.frPyObjects([ring.ravel().tolist() for ring in rings], height, width)
        return coco.decode(packed).reshape(height, width, -1).any(axis=2)


def _same_shape(own: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether one size is the other, scaled and rounded."""
    return (
        abs(own[0] * other[1] / own[1] - other[0]) <= 1
        or abs(other[0] * own[1] / other[1] - own[0]) <= 1
    )


def read_coco(path: Path, field: str) -> list[tuple[str, str, Outline | BadMask]]:
    """Picture, category and outline of every annotation, or why it has none.

    Args:
        path: JSON file.
        field: configuration field, for messages.

    Raises:
        Refused: it is no COCO file.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
        images, names = _by_id(content["images"]), _by_id(content["categories"])
        annotations = list(content["annotations"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Refused(f"{field}.path: {path} is no COCO file ({error!r})") from None
    found: list[tuple[str, str, Outline | BadMask]] = []
    for one in annotations:
        try:
            image = images[one["image_id"]]
            place = (str(image["file_name"]), str(names[one["category_id"]]["name"]))
        except (KeyError, TypeError):
            continue  # of no picture or concept that the file has
        try:
            found.append((*place, _outline(one, image)))
        except (KeyError, TypeError, ValueError, OverflowError):
            found.append((*place, BadMask("no_outline")))
    return found


def _by_id(items: Iterable[Any]) -> dict[Any, Any]:
    return {one["id"]: one for one in items if isinstance(one, dict) and "id" in one}


def _outline(annotation: Mapping[str, Any], image: Mapping[str, Any]) -> Outline:
    stated = _size(image.get("height"), image.get("width"))
    drawn = annotation.get("segmentation")
    crowd = bool(annotation.get("iscrowd"))
    if isinstance(drawn, dict):
        size = _size(*drawn["size"])
        if size is None:
            raise BadMask("no_outline")
        return Outline((), _runs(drawn["counts"], size), size, stated == size, crowd)
    rings = tuple(_rings(drawn))
    if not rings:
        raise BadMask("no_outline")
    return Outline(rings, None, stated, stated is not None, crowd)


def _size(height: Any, width: Any) -> tuple[int, int] | None:
    """A size, None where it is not stated."""
    if height is None or width is None:
        return None
    size = int(height), int(width)
    if min(size) < 1 or size[0] * size[1] > _MAX_PIXELS:
        raise BadMask("no_outline")
    return size


def _runs(counts: Any, size: tuple[int, int]) -> np.ndarray:
    if isinstance(counts, list):
        runs = np.array([int(count) for count in counts], np.int64)
    else:
        (runs,) = run_lengths([counts])
    if (
        runs.min(initial=0) < 0
        or runs.max(initial=0) > _MAX_PIXELS
        or runs.sum() != size[0] * size[1]
    ):
        raise BadMask("no_outline")
    return runs


def _rings(drawn: Any) -> Iterator[np.ndarray]:
    """Polygons of at least three points; rectangles of tools have none, or four numbers."""
    if not isinstance(drawn, list):
        return
    if drawn and all(_is_number(value) for value in drawn):
        drawn = [drawn]
    for ring in drawn:
        if all(isinstance(point, list) and len(point) == 2 for point in ring):
            ring = [value for point in ring for value in point]
        if not all(_is_number(value) for value in ring) or len(ring) % 2:
            raise BadMask("no_outline")
        if len(ring) >= 6:
            yield np.array(ring, float).reshape(-1, 2)


def _is_number(value: Any) -> bool:
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    return plain and math.isfinite(value) and abs(value) < _MAX_PIXELS
