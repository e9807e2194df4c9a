"""Single glands, their lumina included, from the maps of the network of regions."""

from __future__ import annotations

import cv2
import numpy as np

from segmenters.stain import colour
from segmenters.stain.nuclei import drop_small_labels
from segmenters.stain.regions import lumen_holes
from segmenters.unet import saddles

# um per pixel at which glands are told apart.
MPP = 2.0
# Of .3 to .6 on tiles kept apart: .3 loses .01 of colon's Dice, .6 .02.
THRESHOLD = 0.4
# Sigma that smooths the depth, and the share of the lower peak from which a saddle joins. Object F1
# on 75 tiles of colon kept apart (mean of four diagnoses), 36 phantoms and 10 tiles of prostate
# (mostly trained on): .73, .77, .39 against .59, .75, .27 of peaks of depth and distance to the
# outline in pixels; Dice within .001. Sigma 2 to 6 and share .5 to .65: mean within .06. Chosen on
# half of the tiles, the other half gains .12 and .08.
SMOOTH_UM = 4.0
JOINING_SHARE = 0.6
# Where the rules see a gland, so much probability does.
HINTED = 0.2
MIN_AREA_UM2 = 400.0
# Mean probability of fat, where an object is not empty, from which it is fat: lumina look like fat,
# walls do not. On crc_tissue's fat .32 of the pixels are called gland without it and .10 with it
# (15 tiles, 2 of them kept apart), and no other set loses; at .11 a wide gland of prostate goes.
MAX_FAT = 0.12
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
    fat: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Glands: int32 labels (H, W), and float32 probability (H, W), raised where they are.

    Where fat looked like a gland the probability is 0.

    Args:
        probability: float32 (H, W), 0..1, of being gland.
        depth: float32 (H, W), 0 at the outline of a gland, 1 where it is deepest.
        image: uint8 (H, W, 3), RGB, at the same scale.
        mpp: um per pixel.
        hint: bool (H, W), what somebody else takes for gland.
        fat: float32 (H, W), 0..1, of being fat.
    """
    empty = clear(image)
    walls = probability > THRESHOLD
    if hint is not None:
        walls |= hint & (probability > HINTED)
    body = walls | lumen_holes(walls, empty, mpp)
    raised = np.where(body, np.maximum(probability, THRESHOLD + 0.01), probability)
    height = cv2.GaussianBlur(depth, (0, 0), SMOOTH_UM / mpp)
    labels = saddles.split(body, height, JOINING_SHARE)
    if fat is not None:
        fatty = _share(labels, fat, ~empty) > MAX_FAT
        raised = np.where(fatty[labels] & (labels > 0), 0.0, raised)
        labels = np.where(fatty[labels], 0, labels)
    return drop_small_labels(labels, MIN_AREA_UM2 / mpp**2), raised


def _share(labels: np.ndarray, probability: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Mean probability of every label over some pixels, 0 where it has none, float64 (n + 1,)."""
    chosen = labels[where]
    total = np.bincount(chosen, weights=probability[where], minlength=int(labels.max()) + 1)
    return total / np.maximum(np.bincount(chosen, minlength=len(total)), 1)
