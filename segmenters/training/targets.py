"""From label maps to what the networks are trained on."""

from __future__ import annotations

import cv2
import numpy as np
from scipy import ndimage

IGNORE = 255


def centreness(labels: np.ndarray) -> np.ndarray:
    """Depth inside each object over its greatest depth, float32 (H, W), 0..1, 0 outside.

    Args:
        labels: int32 (H, W), 0 background.
    """
    shrunk = cv2.erode(labels.astype(np.float32), np.ones((3, 3), np.uint8))
    grown = cv2.dilate(labels.astype(np.float32), np.ones((3, 3), np.uint8))
    inside = ((shrunk == grown) & (labels > 0)).astype(np.uint8)
    depth = cv2.distanceTransform(inside, cv2.DIST_L2, 3) + 0.5 * (labels > 0)
    deepest = np.asarray(ndimage.maximum(depth, labels, np.arange(labels.max() + 1)))
    deepest[0] = 1
    return (depth / np.maximum(deepest, 0.5)[labels] * (labels > 0)).astype(np.float32)


def surround(labels: np.ndarray, width_px: int) -> np.ndarray:
    """Background within `width_px` of an object, bool (H, W)."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * width_px + 1,) * 2)
    return (cv2.dilate((labels > 0).astype(np.uint8), kernel) > 0) & (labels == 0)


def rim(labels: np.ndarray, width_px: int) -> np.ndarray:
    """Pixels within `width_px` of an outline, either side, bool (H, W)."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * width_px + 1,) * 2)
    values = labels.astype(np.float32)
    return cv2.dilate(values, kernel) != cv2.erode(values, kernel)
