"""The physical scale: given, or estimated from how large the nuclei are."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
from skimage.filters import threshold_otsu

# Median diameter of nuclei in H&E sections, um: the middle of lymphocytes (6) and epithelium (9).
NUCLEUS_UM = 7.5
# Scales that corpora come at; an estimate outside says more about the estimate than the picture.
MPP_RANGE = (0.12, 2.0)
# Where nothing nucleus-like is found: the scale of a 20x objective.
DEFAULT_MPP = 0.5
_MAX_SIDE = 1024
_MIN_OBJECTS = 5


@dataclasses.dataclass(frozen=True)
class Scale:
    """The scale a picture is read at.

    Attributes:
        mpp: um per pixel.
        source: "given", "nuclei" (estimated from their size) or "assumed".
    """

    mpp: float
    source: str


def estimate(image: np.ndarray, red_density: np.ndarray) -> Scale:
    """Scale from the size of the dark blobs.

    The ridge of the distance transform of the dark mask gives the half width of every blob,
    touching ones included; the median width, weighted by area, is taken for a nucleus.

    Args:
        image: uint8 (H, W, 3), RGB; only its size matters.
        red_density: float32 (H, W), optical density of the red channel, where eosin is pale.
    """
    side = max(image.shape[:2])
    shrink = min(1.0, _MAX_SIDE / side)
    density = red_density
    if shrink < 1:
        density = cv2.resize(density, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    density = cv2.GaussianBlur(density, (0, 0), 1.0)
    if float(density.max() - density.min()) < 0.1:
        return Scale(DEFAULT_MPP, "assumed")
    dark = (density > threshold_otsu(density)).astype(np.uint8)
    dark = cv2.morphologyEx(dark, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    inside = cv2.distanceTransform(dark, cv2.DIST_L2, 5)
    inside = cv2.GaussianBlur(inside, (0, 0), 0.8)
    peaks = (inside == cv2.dilate(inside, np.ones((5, 5), np.uint8))) & (inside > 1.5)
    radii = np.sort(inside[peaks])
    if len(radii) < _MIN_OBJECTS:
        return Scale(DEFAULT_MPP, "assumed")
    weight = np.cumsum(radii**2)
    middle = float(radii[np.searchsorted(weight, weight[-1] / 2)])
    # The ridge half width of an ellipse is its minor half axis: nuclei are 1.2 times as long.
    diameter_px = 2 * middle * 1.1 / shrink
    return Scale(float(np.clip(NUCLEUS_UM / diameter_px, *MPP_RANGE)), "nuclei")


def resize_to(image: np.ndarray, factor: float) -> np.ndarray:
    """Picture resampled by `factor` (above 1 larger), area-averaged when it shrinks."""
    if abs(factor - 1) < 0.02:
        return image
    height, width = image.shape[:2]
    size = (max(8, round(width * factor)), max(8, round(height * factor)))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR)


def labels_to(labels: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Label map brought to (H, W) without mixing labels, int32."""
    if labels.shape == shape:
        return labels.astype(np.int32)
    resized = cv2.resize(
        labels.astype(np.float32), shape[::-1], interpolation=cv2.INTER_NEAREST_EXACT
    )
    return resized.astype(np.int32)


def mask_to(mask: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Mask brought to (H, W) with smooth edges, bool."""
    if mask.shape == shape:
        return mask.astype(bool)
    return cv2.resize(mask.astype(np.float32), shape[::-1], interpolation=cv2.INTER_LINEAR) > 0.5
