"""Single objects from a probability map and a depth map."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
from skimage.segmentation import watershed

from segmenters.stain.nuclei import drop_small_labels, fill_small_holes


@dataclasses.dataclass(frozen=True)
class Rule:
    """How touching objects are told apart.

    Attributes:
        threshold: probability from which a pixel belongs to an object.
        depth_px: distance to the outline that a depth of 1 is worth.
        depth_share: weight of the depth map against the distance to the outline of the mask.
        smooth_px: sigma that smooths their sum before its peaks are taken.
        reach_px: peaks nearer than this are one.
        hole_px: holes of at most this many pixels are filled.
    """

    threshold: float
    depth_px: float
    depth_share: float
    smooth_px: float
    reach_px: int
    hole_px: float


# Chosen by object F1 on training tiles kept apart: .64 on dsb2018, .57 on nuinsseg, .71 on tnbc;
# splitting is not sensitive to it (other smoothing and reach: within .02).
NUCLEI = Rule(0.5, 7.5, 0.8, 1.5, 5, 60)


def split(probability: np.ndarray, depth: np.ndarray, rule: Rule, min_area_px: float) -> np.ndarray:
    """Objects by a watershed from the peaks of depth and distance, int32 labels (H, W).

    Args:
        probability: float32 (H, W), 0..1.
        depth: float32 (H, W), 0 at the outline, 1 where an object is deepest.
        rule: how they are told apart.
        min_area_px: smaller objects are dropped.
    """
    mask = fill_small_holes(probability > rule.threshold, rule.hole_px)
    if not mask.any():
        return np.zeros(mask.shape, np.int32)
    distance = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5)
    height = rule.depth_share * rule.depth_px * depth + (1 - rule.depth_share) * distance
    height = cv2.GaussianBlur(height.astype(np.float32), (0, 0), rule.smooth_px)
    side = 2 * rule.reach_px + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    peaks = mask & (height >= cv2.dilate(height, kernel) - 1e-6)
    _, seeds = cv2.connectedComponents(peaks.astype(np.uint8))
    # An object whose peak lies in a neighbour's reach is its own seed.
    _, pieces = cv2.connectedComponents(mask.astype(np.uint8))
    seeded = np.zeros(pieces.max() + 1, bool)
    seeded[np.unique(pieces[seeds > 0])] = True
    seeds = np.where(~seeded[pieces] & mask, pieces + seeds.max(), seeds)
    labels = watershed(-height, seeds.astype(np.int32), mask=mask)
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
    # Filled holes belong to their object, whatever the probability in them.
    probability = np.where(labels > 0, np.maximum(probability, threshold + 0.01), probability)
    fine = probability
    if labels.shape != tuple(shape):
        fine = cv2.resize(probability, size, interpolation=cv2.INTER_LINEAR)
    values = labels.astype(np.float32)
    # One pixel outward, so that the finer outline never runs beyond its object.
    grown = np.where(labels > 0, values, cv2.dilate(values, np.ones((3, 3), np.uint8)))
    if labels.shape != tuple(shape):
        grown = cv2.resize(grown, size, interpolation=cv2.INTER_NEAREST_EXACT)
    return np.where(fine > threshold, grown, 0).astype(np.int32), fine


def grow(labels: np.ndarray, free: np.ndarray, reach_px: int) -> np.ndarray:
    """Objects grown into free pixels, int32 (H, W); where two meet the higher number goes on.

    Args:
        labels: int32 (H, W).
        free: bool (H, W), where they may grow.
        reach_px: how far.
    """
    square = np.ones((2 * reach_px + 1, 2 * reach_px + 1), np.uint8)
    wide = cv2.dilate(labels.astype(np.float32), square).astype(np.int32)
    return np.where((labels == 0) & free, wide, labels)
