"""Masks as COCO run-length encodings, boxes and instances."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pycocotools import mask as coco

from miner.core.rle import decode_masks


def encode(mask: np.ndarray) -> str:
    """COCO compressed RLE counts of a mask.

    Args:
        mask: bool or uint8 (H, W).

    Returns:
        The counts as text; the size is the mask's (height, width).
    """
    return coco.encode(np.asfortranarray(mask, dtype=np.uint8))["counts"].decode("ascii")


def decode(counts: str, height: int, width: int) -> np.ndarray:
    """Mask of COCO compressed RLE counts, bool (height, width).

    Raises:
        ValueError: they are none, or do not add up: pycocotools would give what lay in memory.
    """
    rle = {"size": [height, width], "counts": counts}
    return decode_masks([rle], height, width)[0].astype(bool)


def united(counts: Sequence[str], height: int, width: int) -> tuple[str, np.ndarray]:
    """Union of masks that were encoded here: its RLE counts and itself, bool (height, width)."""
    whole = coco.merge([{"size": [height, width], "counts": one} for one in counts])
    return whole["counts"].decode("ascii"), coco.decode(whole).astype(bool)


def bbox(mask: np.ndarray) -> tuple[int, int, int, int]:
    """Bounding box x1, y1, x2, y2 (end-exclusive) of a non-empty mask, bool (H, W)."""
    ys = np.flatnonzero(mask.any(axis=1))
    xs = np.flatnonzero(mask.any(axis=0))
    return int(xs[0]), int(ys[0]), int(xs[-1]) + 1, int(ys[-1]) + 1
