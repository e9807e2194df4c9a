"""Nuclei by density thresholds, touching ones split by a watershed."""

from __future__ import annotations

import cv2
import numpy as np
from skimage.filters import threshold_otsu
from skimage.measure import label
from skimage.segmentation import watershed

# Smallest nucleus, um2: a lymphocyte cut at its rim (5 um across) has 20.
MIN_AREA_UM2 = 12.0
# Weight of the neighbourhood (mean plus 0.6 deviations, sigma 12 um) against the tile's threshold.
LOCAL_WEIGHT = 0.5
LOCAL_SIGMA_UM = 12.0
LOCAL_DEVIATIONS = 0.6


def nuclear_mask(density: np.ndarray, mpp: float) -> np.ndarray:
    """Dark nuclear pixels, bool (H, W).

    Half the tile's Otsu threshold and half a local one, so that pale nuclei beside dark ones are
    found and dense stroma is not.

    Args:
        density: float32 (H, W), red-channel optical density.
        mpp: um per pixel.
    """
    smooth = cv2.GaussianBlur(density, (0, 0), max(0.5, 0.5 / mpp))
    if float(smooth.max() - smooth.min()) < 0.08:
        return np.zeros(density.shape, bool)
    level = float(threshold_otsu(np.minimum(smooth, np.percentile(smooth, 99.5))))
    sigma = LOCAL_SIGMA_UM / mpp
    # The neighbourhood is smooth: a quarter of the resolution does.
    small = cv2.resize(smooth, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    mean = cv2.GaussianBlur(small, (0, 0), sigma / 4)
    square = cv2.GaussianBlur(small * small, (0, 0), sigma / 4)
    deviation = np.sqrt(np.maximum(square - mean * mean, 0))
    local = cv2.resize(mean + LOCAL_DEVIATIONS * deviation, density.shape[::-1])
    threshold = np.maximum(LOCAL_WEIGHT * local + (1 - LOCAL_WEIGHT) * level, 0.6 * level)
    mask = (smooth > threshold).astype(np.uint8)
    mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    return fill_small_holes(mask.astype(bool), 20 / mpp**2)


def fill_small_holes(mask: np.ndarray, max_area_px: float) -> np.ndarray:
    """Holes of at most `max_area_px` pixels filled, bool (H, W)."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        (~mask).astype(np.uint8), connectivity=4
    )
    small = np.zeros(count, bool)
    small[1:] = stats[1:, cv2.CC_STAT_AREA] <= max_area_px
    return mask | small[labels]


def drop_small(mask: np.ndarray, min_area_px: float) -> np.ndarray:
    """Components of fewer than `min_area_px` pixels removed, bool (H, W)."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        mask.astype(np.uint8), connectivity=8
    )
    large = np.zeros(count, bool)
    large[1:] = stats[1:, cv2.CC_STAT_AREA] >= min_area_px
    return large[labels]


def split(mask: np.ndarray, mpp: float) -> np.ndarray:
    """Touching nuclei told apart by the shape of their outline, int32 labels (H, W).

    Args:
        mask: bool (H, W).
        mpp: um per pixel.
    """
    inside = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5)
    inside = cv2.GaussianBlur(inside, (0, 0), 0.7 / mpp)
    reach = max(3, 2 * round(1.8 / mpp) + 1)
    peak = (inside == cv2.dilate(inside, np.ones((reach, reach), np.uint8))) & mask
    seeds = label(peak, connectivity=2)
    labels = watershed(-inside, seeds, mask=mask)
    return drop_small_labels(labels, MIN_AREA_UM2 / mpp**2)


def drop_small_labels(labels: np.ndarray, min_area_px: float) -> np.ndarray:
    """Objects below `min_area_px` removed and the rest renumbered 1..n, int32 (H, W)."""
    areas = np.bincount(labels.ravel())
    keep = areas >= min_area_px
    keep[0] = False
    names = np.zeros(len(areas), np.int32)
    names[keep] = np.arange(1, keep.sum() + 1, dtype=np.int32)
    return names[labels]
