"""Single objects from a probability map and a depth map."""

from __future__ import annotations

import cv2
import numpy as np
from skimage.segmentation import watershed

from segmenters.stain.nuclei import drop_small_labels


def split(
    probability: np.ndarray,
    depth: np.ndarray,
    threshold: float,
    seed_depth: float,
    smooth_px: float,
    min_area_px: float,
) -> np.ndarray:
    """Objects by a watershed of the depth, int32 labels (H, W).

    Args:
        probability: float32 (H, W), 0..1.
        depth: float32 (H, W), 0 at the outline, 1 where an object is deepest.
        threshold: probability from which a pixel belongs to an object.
        seed_depth: depth from which a pixel belongs to a seed.
        smooth_px: sigma that smooths the depth before seeds are taken.
        min_area_px: smaller objects are dropped.
    """
    mask = probability > threshold
    if not mask.any():
        return np.zeros(mask.shape, np.int32)
    smooth = cv2.GaussianBlur(depth, (0, 0), smooth_px)
    _, seeds = cv2.connectedComponents((mask & (smooth > seed_depth)).astype(np.uint8))
    # Objects too shallow for a seed of that depth are their own seed.
    _, pieces = cv2.connectedComponents(mask.astype(np.uint8))
    seeded = np.zeros(pieces.max() + 1, bool)
    seeded[np.unique(pieces[seeds > 0])] = True
    lone = ~seeded[pieces] & mask
    seeds = np.where(lone, pieces + seeds.max(), seeds)
    labels = watershed(-smooth, seeds.astype(np.int32), mask=mask)
    return drop_small_labels(labels, min_area_px)


def enlarge(labels: np.ndarray, probability: np.ndarray, threshold: float, shape: tuple) -> tuple:
    """Objects at the size of the picture, with outlines from the interpolated probability.

    Args:
        labels: int32 (h, w).
        probability: float32 (h, w).
        threshold: as given to `split`.
        shape: (H, W) of the picture.

    Returns:
        labels int32 (H, W); probability float32 (H, W).
    """
    size = (shape[1], shape[0])
    fine = probability
    if labels.shape != tuple(shape):
        fine = cv2.resize(probability, size, interpolation=cv2.INTER_LINEAR)
    values = labels.astype(np.float32)
    # One pixel outward, so that the finer outline never runs beyond its object.
    grown = np.where(labels > 0, values, cv2.dilate(values, np.ones((3, 3), np.uint8)))
    if labels.shape != tuple(shape):
        grown = cv2.resize(grown, size, interpolation=cv2.INTER_NEAREST_EXACT)
    return np.where(fine > threshold, grown, 0).astype(np.int32), fine
