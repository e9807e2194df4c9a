"""Masks as COCO run-length encodings, boxes and instances."""

from __future__ import annotations

import numpy as np
from pycocotools import mask as coco


def encode(mask: np.ndarray) -> str:
    """COCO compressed RLE counts of a mask.

    Args:
        mask: bool or uint8 (H, W).

    Returns:
        The counts as text; the size is the mask's (height, width).
    """
    return coco.encode(np.asfortranarray(mask, dtype=np.uint8))["counts"].decode("ascii")


def decode(counts: str, height: int, width: int) -> np.ndarray:
    """Mask of COCO compressed RLE counts, bool (height, width)."""
    return coco.decode({"size": [height, width], "counts": counts.encode("ascii")}).astype(bool)


def encode_labels(labels: np.ndarray) -> list[str]:
    """RLE counts of every object of a label map, in the order of the labels.

    One pass over the map, however many objects it has: its runs are sorted by object, and each
    object's runs are compressed by pycocotools.

    Args:
        labels: int (H, W), 0 background.
    """
    height, width = labels.shape
    flat = np.asarray(labels).ravel(order="F")
    starts = np.flatnonzero(np.concatenate(([True], flat[1:] != flat[:-1])))
    lengths = np.diff(np.append(starts, flat.size))
    values = flat[starts]
    order = np.argsort(values, kind="stable")
    order = order[values[order] > 0]
    edges = np.flatnonzero(np.diff(values[order])) + 1
    return [
        _compress(starts[runs], lengths[runs], height, width)
        for runs in np.split(order, edges)
        if runs.size
    ]


def _compress(starts: np.ndarray, lengths: np.ndarray, height: int, width: int) -> str:
    """Compressed counts of one object from its runs in Fortran order, ascending."""
    ends = starts + lengths
    counts = np.empty(2 * len(starts) + 1, dtype=np.int64)
    counts[0:-1:2] = starts - np.concatenate(([0], ends[:-1]))
    counts[1::2] = lengths
    counts[-1] = height * width - ends[-1]
    size = [height, width]
    # An object that ends with the picture has no run after it.
    runs = counts.tolist() if counts[-1] else counts[:-1].tolist()
    packed = coco.frPyObjects({"size": size, "counts": runs}, height, width)
    return packed["counts"].decode("ascii")


def bbox(mask: np.ndarray) -> tuple[int, int, int, int]:
    """Bounding box x1, y1, x2, y2 (end-exclusive) of a non-empty mask, bool (H, W)."""
    ys = np.flatnonzero(mask.any(axis=1))
    xs = np.flatnonzero(mask.any(axis=0))
    return int(xs[0]), int(ys[0]), int(xs[-1]) + 1, int(ys[-1]) + 1
