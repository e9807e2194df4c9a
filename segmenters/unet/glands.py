"""Single glands, their lumina included, from the maps of the tissue network."""

from __future__ import annotations

import cv2
import numpy as np

from segmenters.stain import colour
from segmenters.stain.regions import lumen_holes
from segmenters.unet import objects

THRESHOLD = objects.GLANDS.threshold
# Where the rules see a gland, so much probability does.
HINTED = 0.2
MIN_AREA_UM2 = 400.0
# Optical density (mean of the channels) below which a pixel holds nothing or but secretion.
CLEAR_OD = 0.15


def clear(image: np.ndarray) -> np.ndarray:
    """Pixels that hold nothing, bool (H, W).

    Args:
        image: uint8 (H, W, 3), RGB.
    """
    density = colour.optical_density(image, colour.white_point(image)).mean(axis=2)
    return cv2.GaussianBlur(density, (0, 0), 0.8) < CLEAR_OD


def find(
    probability: np.ndarray,
    depth: np.ndarray,
    image: np.ndarray,
    mpp: float,
    hint: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Glands: int32 labels (H, W), and float32 probability (H, W), raised where they are.

    Args:
        probability: float32 (H, W), 0..1, of being gland.
        depth: float32 (H, W), 0 at the outline of a gland, 1 where it is deepest.
        image: uint8 (H, W, 3), RGB, at the same scale.
        mpp: um per pixel.
        hint: bool (H, W), what somebody else takes for gland.
    """
    walls = probability > THRESHOLD
    if hint is not None:
        walls |= hint & (probability > HINTED)
    body = walls | lumen_holes(walls, clear(image), mpp)
    raised = np.where(body, np.maximum(probability, THRESHOLD + 0.01), probability)
    labels = objects.split(raised, depth, objects.GLANDS, MIN_AREA_UM2 / mpp**2)
    return labels, raised
