"""Figures drawn on published pictures: arrows, scale bars, letters.

They are no tissue, yet dark or coloured enough to be outlined as nuclei. A shape is drawn where it
is black, white or of a colour that no stain has, flat as nothing is that came through a lens, and
ends within a pixel or two. Glass is white and flat, too: of white, thin strokes alone count.

On 300 labelled tiles into which arrows, bars and letters were drawn, saved as JPEG, all were found
but for half of what was white; of the tiles as they are, 6 have some white or dark streak (.5% of
the picture) that is taken for drawn.
"""

from __future__ import annotations

import cv2
import numpy as np

from segmenters.levels import extremes, percentile

# Brightest channel of black, darkest of white, 0..255.
BLACK, WHITE = 14, 245
# Least difference between the channels of a colour that no stain has: red cells reach 150. JPEG
# pales thin strokes: what hangs together with such a colour belongs to it from `PALE` on.
SATURATED, PALE = 170, 110
# Pictures whose brightest channel stays below this in the median are fluorescence, where strong
# colours are no drawing.
DARK = 60
# How far neighbours' channels may differ in a flat shape: JPEG moves them by this much.
FLAT = 14
# A shape needs as many pixels, and this share of sure ones; what covers more of the picture is no
# figure on it.
MIN_PX, MIN_SURE, MAX_SHARE = 30, 0.03, 0.15
# A drawn edge is over within this many px: so far out there is what lies around, at most this
# different from what lies twice as far, for this share of the outline. What lies around differs
# from the shape by at least `STEP`.
EDGE_PX, ALIKE, STEP, SHARP = 2, 40, 60, 0.7
# Half of the widest white stroke, px and share of the picture's side.
HALF_STROKE_PX, HALF_STROKE_SHARE = 3.0, 0.008
# How far beyond its flat part a shape is cut out: its soft edge, and what JPEG adds to it, px.
RIM_PX = 3


def drawn(image: np.ndarray) -> np.ndarray:
    """Pixels of figures drawn on a picture, with their edges, bool (H, W).

    Args:
        image: uint8 (H, W, 3), RGB.
    """
    low, high = extremes(image)
    if percentile(high, 50) < DARK:
        return np.zeros(image.shape[:2], bool)
    square = np.ones((3, 3), np.uint8)
    _, spread = extremes(cv2.dilate(image, square) - cv2.erode(image, square))
    # Strokes of two pixels have no flat neighbourhood: there the pixel itself has to be pure.
    flat = spread <= FLAT
    black = high <= BLACK
    white = low >= WHITE
    red, green, blue = (image[..., c].astype(np.int16) for c in range(3))
    # However strong, purple is haematoxylin's.
    strength = np.where((red > green + 30) & (blue > green + 30), 0, high - low)
    found = _shapes(image, strength >= PALE, strength >= SATURATED)
    found |= _shapes(image, black, flat) | _shapes(image, white, flat, thin=True)
    if not found.any() or found.mean() > MAX_SHARE:
        return np.zeros(image.shape[:2], bool)
    rim = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * RIM_PX + 1,) * 2)
    return cv2.dilate(found.astype(np.uint8), rim) > 0


def _shapes(
    image: np.ndarray, like: np.ndarray, sure: np.ndarray, thin: bool = False
) -> np.ndarray:
    """The connected parts of a colour that look drawn, bool (H, W).

    Args:
        image: uint8 (H, W, 3), RGB.
        like: bool (H, W), of the colour.
        sure: bool (H, W), as drawn pixels are; a part needs some.
        thin: strokes only.
    """
    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        like.astype(np.uint8), connectivity=8
    )
    keep = np.zeros(count, bool)
    side = max(image.shape[:2])
    for i in range(1, count):
        x, y, w, h, area = stats[i]
        if area < MIN_PX or area > MAX_SHARE * like.size:
            continue
        pad = 2 * EDGE_PX + 2
        box = np.s_[max(0, y - pad) : y + h + pad, max(0, x - pad) : x + w + pad]
        shape = labels[box] == i
        if (shape & sure[box]).sum() < MIN_SURE * area:
            continue
        reach = cv2.distanceTransform(np.pad(shape, 1).astype(np.uint8), cv2.DIST_L2, 3).max()
        if thin and reach > max(HALF_STROKE_PX, HALF_STROKE_SHARE * side):
            continue
        keep[i] = _sharp(image[box].astype(int), shape, ALIKE if thin else 255)
    return keep[labels]


def _sharp(image: np.ndarray, shape: np.ndarray, alike: int) -> bool:
    """Whether a shape ends as abruptly as what a program draws."""
    out = cv2.distanceTransform((~shape).astype(np.uint8), cv2.DIST_L2, 3)
    colour = image[shape].mean(axis=0)
    near, far = (np.abs(out - r) < 0.75 for r in (EDGE_PX + 0.5, 2 * EDGE_PX + 0.5))
    if not near.any() or not far.any():
        return True  # it fills its corner of the picture
    smooth = cv2.blur(image.astype(np.float32), (3, 3))
    # What lies twice as far, brought near: the mean of the far ring around every near pixel.
    size = (4 * EDGE_PX + 1,) * 2
    weight = cv2.blur(far.astype(np.float32), size)
    around = cv2.blur(smooth * far[..., None], size) / np.maximum(weight, 1e-6)[..., None]
    step = np.abs(smooth[near] - colour).max(axis=1)
    drift = np.abs(smooth[near] - around[near]).max(axis=1)
    return float(((step >= STEP) & (drift <= alike)).mean()) >= SHARP


def without(image: np.ndarray, figures: np.ndarray) -> np.ndarray:
    """The picture with its figures painted over by what lies around them, uint8 (H, W, 3).

    Args:
        image: uint8 (H, W, 3), RGB.
        figures: bool (H, W), see `drawn`.
    """
    if not figures.any():
        return image
    return cv2.inpaint(np.ascontiguousarray(image), figures.astype(np.uint8), 3, cv2.INPAINT_TELEA)
