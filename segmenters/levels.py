"""What is bright and dark in an 8-bit picture, by counting its 256 levels."""

from __future__ import annotations

import cv2
import numpy as np


def extremes(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Smallest and largest channel of every pixel, uint8 (H, W) each.

    Args:
        image: uint8 (H, W, 3).
    """
    one, two, three = cv2.split(image)
    return cv2.min(cv2.min(one, two), three), cv2.max(cv2.max(one, two), three)


def percentile(plane: np.ndarray, percent: float) -> float:
    """The number of `np.percentile`, in a tenth of its time.

    Args:
        plane: uint8 (H, W), not empty.
        percent: 0..100.
    """
    plane = np.ascontiguousarray(plane)
    below = np.cumsum(cv2.calcHist([plane], [0], None, [256], [0, 256]).ravel().astype(np.int64))
    place = (plane.size - 1) * (percent / 100)
    share = place - np.floor(place)
    low = int(np.searchsorted(below, int(place), side="right"))
    high = int(np.searchsorted(below, min(int(place) + 1, plane.size - 1), side="right"))
    # From the nearer end, as numpy does.
    return high - (high - low) * (1 - share) if share >= 0.5 else low + (high - low) * share
