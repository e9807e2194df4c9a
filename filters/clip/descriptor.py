"""A descriptor of the layout of a picture, for near-duplicates.

Tiles of one tissue under one stain look alike to a CLIP, whose embedding is made to ignore where
things lie. A near-duplicate is the same field: the same layout. So the descriptor is a blurred
picture of the stain, without its mean, in which only the layout is left.
"""

from __future__ import annotations

import cv2
import numpy as np

GRID = 12


def describe(image: np.ndarray) -> np.ndarray:
    """Layout of a picture.

    Args:
        image: uint8 (H, W, 3), RGB.

    Returns:
        float32 (d,), L2-normalised.
    """
    small = cv2.resize(image, (4 * GRID, 4 * GRID), interpolation=cv2.INTER_AREA)
    density = -np.log((small.astype(np.float32) + 8.0) / 263.0)
    soft = cv2.GaussianBlur(density, (0, 0), 3.0)
    cells = cv2.resize(soft, (GRID, GRID), interpolation=cv2.INTER_AREA)
    flat = (cells - cells.mean(axis=(0, 1))).reshape(-1)
    return flat / max(float(np.linalg.norm(flat)), 1e-6)
