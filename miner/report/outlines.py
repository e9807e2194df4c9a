"""Masks as outlines on their picture, for the report, its notebook and `miner show`."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

Colour = tuple[int, int, int]

# Outlines that stand out from pink and purple, as RGB; the page uses the same for phrases.
COLOURS = (
    (0, 214, 143),
    (255, 196, 0),
    (0, 160, 255),
    (255, 90, 31),
    (170, 240, 0),
    (230, 60, 220),
)
SIDE_PX = 440
SMALL_PX = 300  # objects below this area get thin lines, so that what is inside stays visible


def draw(
    picture: np.ndarray,
    masks: Sequence[np.ndarray],
    colours: Sequence[Colour] = COLOURS,
    fill: float = 0.0,
) -> np.ndarray:
    """Scale a picture and outline masks on it.

    Args:
        picture: uint8 (H, W, 3), RGB.
        masks: bool (H, W) each; the n-th takes the n-th colour.
        colours: RGB.
        fill: how much of its colour is laid over each mask, 0 to 1.

    Returns:
        uint8 (h, w, 3), RGB, the longer side about `SIDE_PX`.
    """
    scale = SIDE_PX / max(picture.shape[:2])
    size = (max(round(picture.shape[1] * scale), 1), max(round(picture.shape[0] * scale), 1))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    canvas = np.ascontiguousarray(cv2.resize(picture, size, interpolation=how))
    for i, mask in enumerate(masks):
        small = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_LINEAR) >= 0.5
        if fill:
            ink = np.asarray(colours[i % len(colours)], float)
            canvas[small] = np.rint((1 - fill) * canvas[small] + fill * ink).astype(np.uint8)
        lines, _ = cv2.findContours(small.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        thick = 2 if small.sum() > SMALL_PX * max(len(lines), 1) else 1
        cv2.drawContours(canvas, lines, -1, colours[i % len(colours)], thick, cv2.LINE_AA)
    return canvas
