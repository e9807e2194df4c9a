"""What goes wrong between tissue and picture: folds, bubbles, pen marks, dust, defocus."""

from __future__ import annotations

import cv2
import numpy as np

from miner.demo import fields
from miner.demo.canvas import Canvas

PENS = ((30, 60, 170), (20, 110, 70), (35, 35, 40), (170, 40, 50))


def before_light(canvas: Canvas, probability: float) -> tuple[str, ...]:
    """Artefacts of the section: a fold doubles the densities along a band."""
    if not canvas.chance(probability * 0.4):
        return ()
    height, width = canvas.shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    turn = canvas.uniform(0, np.pi)
    line = (x - canvas.uniform(0, width)) * np.cos(turn) + (y - height / 2) * np.sin(turn)
    line += canvas.px(10) * canvas.noise(60, 2)
    band = np.exp(-((line / canvas.px(canvas.uniform(6, 14))) ** 4))
    for name, density in canvas.dye.items():
        canvas.dye[name] = density * (1 + np.float32(canvas.uniform(0.5, 0.9)) * band)
    return ("fold",)


def on_glass(
    rng: np.random.Generator, image: np.ndarray, mpp: float, probability: float
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Artefacts of cover glass and scanner.

    Args:
        rng: source of randomness.
        image: uint8 (H, W, 3).
        mpp: micrometres per pixel.
        probability: of each artefact, about.

    Returns:
        The picture and the names of what was added.
    """
    names = []
    height, width = image.shape[:2]
    if rng.random() < probability * 0.3:
        names.append("bubble")
        y, x = np.mgrid[:height, :width].astype(np.float32)
        radius = rng.uniform(40, 120) / mpp
        away = np.hypot(x - rng.uniform(0, width), y - rng.uniform(0, height)) - radius
        ring = np.exp(-((away * mpp / 2.5) ** 2)) * 0.6
        inside = (away < 0)[..., None] * 0.12
        image = (
            (image * (1 - ring[..., None]) + (255 - image) * inside).clip(0, 255).astype(np.uint8)
        )
    if rng.random() < probability * 0.25:
        names.append("pen")
        mark = np.zeros((height, width), np.uint8)
        points = np.cumsum(rng.normal(0, 0.35 * max(height, width), (4, 2)), 0)
        points += (rng.uniform(0, width), rng.uniform(0, height))
        thick = max(int(rng.uniform(20, 70) / mpp), 2)
        cv2.polylines(mark, [points.astype(np.int32)], False, (1,), min(thick, 200), cv2.LINE_AA)
        cover = fields.blur(mark.astype(np.float32), 2.0)[..., None] * np.float32(0.75)
        ink = np.asarray(PENS[int(rng.integers(len(PENS)))], np.float32) / 255
        image = (image * (1 - cover + cover * ink)).astype(np.uint8)
    if rng.random() < probability * 0.4:
        names.append("dust")
        for _ in range(int(rng.integers(1, 4))):
            at = (int(rng.integers(width)), int(rng.integers(height)))
            speck = np.zeros((height, width), np.float32)
            axes = (int(rng.uniform(2, 9) / mpp) + 1, int(rng.uniform(1, 3) / mpp) + 1)
            cv2.ellipse(speck, at, axes, float(rng.uniform(0, 180)), 0, 360, (1.0,), -1)
            cover = fields.blur(speck, 1.5 / mpp)[..., None] * np.float32(0.7)
            image = (image * (1 - cover)).astype(np.uint8)
    if rng.random() < probability * 0.5:
        names.append("defocus")
        sigma = float(rng.uniform(0.3, 0.8) / mpp)
        image = cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
    return image, tuple(names)
