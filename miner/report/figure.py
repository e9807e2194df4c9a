"""A picture with its masks for the page: the pixels once, the outlines as paths above them."""

from __future__ import annotations

import base64
import dataclasses
import math
from collections.abc import Sequence

import cv2
import numpy as np

SIDE_PX = 440
QUALITY = 82
OBJECTS_ACROSS = 14  # objects this many to the side of a picture can still be seen
BAR_SHARE = 0.3  # of the width, that a scale bar takes at most
CLOSE_PX = 0.6  # how far a path may be from the outline, in px of what is shown


@dataclasses.dataclass(frozen=True)
class Figure:
    """What the page shows of a picture.

    Attributes:
        src: JPEG as a data URI.
        width: px.
        height: px.
        paths: of each mask its outline in px, as the `d` of an SVG path; holes are holes.
        bar: length of a scale bar in px and what it stands for, None where the scale is not known.
    """

    src: str
    width: int
    height: int
    paths: tuple[str, ...]
    bar: tuple[float, str] | None


def figure(picture: np.ndarray, masks: Sequence[np.ndarray], mpp: float | None) -> Figure:
    """Scale a picture and trace its masks.

    Args:
        picture: uint8 (H, W, 3), RGB.
        masks: bool (H, W) each.
        mpp: um per pixel of the picture.
    """
    scale = SIDE_PX / max(picture.shape[:2])
    width, height = (max(round(n * scale), 1) for n in picture.shape[1::-1])
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    small = cv2.resize(picture, (width, height), interpolation=how)
    bar = None if mpp is None else scale_bar(width, mpp / scale)
    return Figure(data_uri(small), width, height, tuple(trace(m, scale) for m in masks), bar)


def trace(mask: np.ndarray, scale: float) -> str:
    """Outline of a mask as the `d` of an SVG path.

    Args:
        mask: bool (H, W).
        scale: px of the path for each of the mask's.
    """
    # Corners at the border of pixels, not at their centres: traced at twice the size.
    size = (mask.shape[1] * 2, mask.shape[0] * 2)
    double = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    lines, _ = cv2.findContours(double, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    parts = []
    for line in lines:
        corners = cv2.approxPolyDP(line, CLOSE_PX * 2 / scale, True)[:, 0]
        if len(corners) > 2:
            points = ((corners + 0.5) / 2 * scale).round(1)
            parts.append("M" + "L".join(f"{x:g} {y:g}" for x, y in points) + "Z")
    return "".join(parts)


def scale_bar(width: int, mpp: float) -> tuple[float, str] | None:
    """Length in px and text of the longest round bar that fits; None where none makes sense.

    Args:
        width: of the picture, px.
        mpp: um per pixel, of these pixels.
    """
    room = width * BAR_SHARE * mpp
    if not math.isfinite(room) or room < 1:
        return None
    power = 10 ** math.floor(math.log10(room))
    length = max(step * power for step in (1, 2, 5) if step * power <= room)
    text = f"{length / 1000:g} mm" if length >= 1000 else f"{length:g} µm"
    return round(length / mpp, 1), text


def closer(mask: np.ndarray) -> tuple[slice, slice]:
    """The square part of a picture where small objects are large enough and many; else the whole.

    Args:
        mask: bool (H, W).
    """
    height, width = mask.shape
    parts, _ = cv2.connectedComponents(mask.astype(np.uint8))
    diameter = 2 * np.sqrt(mask.sum() / max(parts - 1, 1) / np.pi)
    side = int(max(diameter * OBJECTS_ACROSS, 96))
    if side >= 0.8 * min(height, width):
        return slice(None), slice(None)
    crowd = cv2.boxFilter(mask.astype(np.float32), -1, (side, side), borderType=cv2.BORDER_CONSTANT)
    y, x = np.unravel_index(int(crowd.argmax()), crowd.shape)
    top = int(np.clip(int(y) - side // 2, 0, height - side))
    left = int(np.clip(int(x) - side // 2, 0, width - side))
    return slice(top, top + side), slice(left, left + side)


def data_uri(picture: np.ndarray) -> str:
    """A picture, uint8 (H, W, 3), RGB, as a JPEG data URI."""
    _, data = cv2.imencode(
        ".jpg", np.ascontiguousarray(picture[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, QUALITY]
    )
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode("ascii")
