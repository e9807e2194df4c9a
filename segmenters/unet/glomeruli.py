"""Single glomeruli in PAS from the network's map."""

from __future__ import annotations

import cv2
import numpy as np

from segmenters.stain.nuclei import drop_small, fill_small_holes

THRESHOLD = 0.5
# Pieces cut by the border of a picture are kept down to a tenth of a glomerulus.
MIN_AREA_UM2 = 2000.0


def find(probability: np.ndarray, mpp: float) -> np.ndarray:
    """Single glomeruli, int32 labels (H, W).

    Args:
        probability: float32 (H, W), 0..1.
        mpp: um per pixel.
    """
    smallest = MIN_AREA_UM2 / mpp**2
    mask = drop_small(fill_small_holes(probability > THRESHOLD, smallest), smallest)
    _, labels = cv2.connectedComponents(mask.astype(np.uint8))
    return labels.astype(np.int32)
