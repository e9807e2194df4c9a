"""Looks of other laboratories: stain, scanner, focus and compression, drawn at random."""

from __future__ import annotations

import cv2
import numpy as np

# Ruifrok and Johnston 2001: optical densities of haematoxylin, eosin and a residual.
STAINS = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]], np.float32)
STAINS /= np.linalg.norm(STAINS, axis=1, keepdims=True)
UNMIX = np.linalg.inv(STAINS)


def restain(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The picture with other stain vectors and strengths, uint8 (H, W, 3)."""
    density = -np.log((image.astype(np.float32) + 1.0) / 256.0)
    amounts = density @ UNMIX
    amounts *= np.exp(rng.normal(0, 0.3, 3)).astype(np.float32)
    amounts += rng.normal(0, 0.03, 3).astype(np.float32)
    vectors = STAINS + rng.normal(0, 0.06, STAINS.shape).astype(np.float32)
    light = 255.0 * np.exp(-np.maximum(amounts @ vectors, 0.0))
    light *= rng.uniform(0.88, 1.0, 3).astype(np.float32)
    return np.clip(light, 0, 255).astype(np.uint8)


def augment(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A random other look of a picture, uint8 (H, W, 3), RGB."""
    if rng.random() < 0.85:
        image = restain(image, rng)
    if rng.random() < 0.15:
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)[:, :, None]
        part = rng.uniform(0.2, 0.8)
        image = (image * (1 - part) + grey * part).astype(np.uint8)
    if rng.random() < 0.3:
        image = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.4, 1.4)))
    if rng.random() < 0.2:
        noise = rng.normal(0, rng.uniform(2, 8), image.shape)
        image = np.clip(image + noise, 0, 255).astype(np.uint8)
    if rng.random() < 0.25:
        quality = int(rng.integers(35, 95))
        _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
        image = cv2.imdecode(data, cv2.IMREAD_COLOR)
    return image
