"""Masks and boxes as the dialects spell them."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from pycocotools import mask as coco

from miner.core.masks import decode
from shards.polygons import Ring, polygons, rings
from shards.sample import Region, Rle

# Of the picture: whoever answers with the whole picture overlaps a larger box by IoU .5 or more.
ALL_OVER = 0.5


def region_mask(rle: Rle) -> np.ndarray:
    """Mask of a run-length encoding, bool (H, W)."""
    return decode(rle["counts"], *rle["size"])


def region_polygons(rle: Rle) -> list[list[int]]:
    """Pixel-edge polygons of a run-length encoding; see `shards.polygons`."""
    mask, x, y = cropped(rle)
    return [[v + (y if i % 2 else x) for i, v in enumerate(polygon)] for polygon in polygons(mask)]


def region_rings(rle: Rle) -> list[list[Ring]]:
    """Outer ring and holes of every part of a run-length encoding; see `shards.polygons`."""
    mask, x0, y0 = cropped(rle)
    return [
        [[(x + x0, y + y0) for x, y in ring] for ring in (outer, *holes)]
        for outer, holes in rings(mask)
    ]


def thickest(rle: Rle) -> tuple[int, int]:
    """Pixel x, y of a mask that is farthest from its outline: inside even of a crescent."""
    mask, x0, y0 = cropped(rle)
    depth = cv2.distanceTransform(np.pad(mask.astype(np.uint8), 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
    y, x = (int(v) for v in np.unravel_index(int(depth.argmax()), depth.shape))
    return x + x0, y + y0


def cropped(rle: Rle) -> tuple[np.ndarray, int, int]:
    """Mask inside its box, bool (h, w), and where that starts: single objects are small."""
    x1, y1, x2, y2 = box_of(rle)
    return region_mask(rle)[y1:y2, x1:x2], x1, y1


def uncompressed(rle: Rle) -> dict[str, Any]:
    """COCO uncompressed RLE: run lengths down the columns, starting with zeros."""
    flat = region_mask(rle).ravel(order="F")
    edges = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff(np.concatenate([[0], edges, [flat.size]])).tolist()
    return {"size": list(rle["size"]), "counts": [0, *runs] if flat[0] else runs}


def boxes(region: Region, most: int, largest: float = ALL_OVER) -> list[list[int]]:
    """Boxes x1, y1, x2, y2 in pixels, end-exclusive: one an object, one of what has no objects.

    Args:
        region: of a grounded sample.
        most: with more objects than this there are none; a box round them all is no object's.
        largest: share of the picture, 0..1; where the only box is larger there is none.
    """
    if len(region["instances"]) > most:
        return []
    found = [box_of(i) for i in region["instances"]] or [list(region["bbox"])]
    x1, y1, x2, y2 = found[0]
    height, width = region["rle"]["size"]
    all_over = (x2 - x1) * (y2 - y1) > largest * height * width
    return [] if len(found) == 1 and all_over else found


def unboxed(region: Region, most: int) -> str:
    """Why a phrase has no boxes, for LOSSES.jsonl."""
    if len(region["instances"]) > most:
        return f"more than {most} objects: the phrase stays without boxes"
    return f"its box is more than {ALL_OVER:.0%} of the picture: the phrase stays without boxes"


def box_of(rle: Rle) -> list[int]:
    """Box x1, y1, x2, y2 (end-exclusive) of a run-length encoding."""
    x, y, w, h = coco.toBbox(dict(rle)).tolist()
    return [round(x), round(y), round(x + w), round(y + h)]
