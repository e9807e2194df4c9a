"""What is kept of a picture to tell its copies: a thumbnail of ranks, and what is read from it.

A pixel's value is its rank among all by absorbed light, so that recolouring changes nothing and ink
drawn on top little. `filters.dedupe.sketch` says roughly what lies where, and finds candidates;
`detail` is what is left without that, and tells a copy from a field that is merely laid out alike.
"""

from __future__ import annotations

import hashlib

import cv2
import numpy as np

SIDE = 64
# Absorbed light (optical density) in one step of rank: finer than that is noise of the encoding.
STEP = 0.004
SOFT_PX, COARSE_PX = 0.7, 3.0  # detail lies between these blurs, in pixels of the thumbnail
# Parts of a picture that a copy may show, as (side, top, left) in sides of the picture: the whole,
# and nine and sixteen places of smaller ones, near enough for a sketch to know a crop of 80 %.
WINDOWS: tuple[tuple[float, float, float], ...] = (
    (1.0, 0.0, 0.0),
    *((0.9, 0.1 * y / 2, 0.1 * x / 2) for y in range(3) for x in range(3)),
    *((0.8, 0.2 * y / 3, 0.2 * x / 3) for y in range(4) for x in range(4)),
)
ORIENTATIONS = 8  # four turns, and four of the mirrored picture


def thumbnail(image: np.ndarray) -> np.ndarray:
    """Ranks of absorbed light.

    Args:
        image: uint8 (H, W, 3), RGB.

    Returns:
        uint8 (SIDE, SIDE); pixels that are equal have equal ranks, so a flat picture is flat.
    """
    small = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    density = -np.log((small + 8.0) / 263.0).mean(axis=2)
    steps = np.round(density / STEP).ravel()
    ordered = np.sort(steps)
    middle = np.searchsorted(ordered, steps, "left") + np.searchsorted(ordered, steps, "right")
    return np.round(middle * (255 / (2 * steps.size))).astype(np.uint8).reshape(SIDE, SIDE)


def pixel_hash(image: np.ndarray) -> str:
    """Hash of the pixels, whatever file they came in.

    Args:
        image: uint8 (H, W, 3), RGB.
    """
    shape = "x".join(map(str, image.shape)).encode()
    return hashlib.sha256(shape + b":" + np.ascontiguousarray(image).tobytes()).hexdigest()


def detail(thumb: np.ndarray) -> np.ndarray:
    """What is left of a thumbnail without its layout, float32 of its shape, unit length or zero."""
    fine = thumb.astype(np.float32)
    fine = cv2.GaussianBlur(fine, (0, 0), SOFT_PX) - cv2.GaussianBlur(fine, (0, 0), COARSE_PX)
    return _unit(fine - fine.mean())


def turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """A square picture turned by quarter turns, mirrored first from 4 on."""
    mirrored = pixels[:, ::-1] if orientation >= 4 else pixels
    return np.ascontiguousarray(np.rot90(mirrored, orientation % 4))


def turned_back(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Undo `turned`."""
    straight = np.rot90(pixels, -(orientation % 4))
    return np.ascontiguousarray(straight[:, ::-1] if orientation >= 4 else straight)


def _unit(values: np.ndarray) -> np.ndarray:
    length = float(np.linalg.norm(values))
    return (values / length if length > 1e-3 else np.zeros_like(values)).astype(np.float32)
