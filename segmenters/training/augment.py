"""What the same tissue looks like from another laboratory, scanner and codec."""

from __future__ import annotations

import cv2
import numpy as np

from segmenters.stain import colour
from segmenters.stain.colour import Stains

# Haematoxylin, eosin and their normal, rows of RGB optical density (Ruifrok and Johnston 2001).
_STAINS = np.array([[0.650, 0.704, 0.286], [0.092, 0.954, 0.283], [0.0, 0.0, 0.0]])
_STAINS[2] = np.cross(_STAINS[0], _STAINS[1])
_STAINS /= np.linalg.norm(_STAINS, axis=1, keepdims=True)


def restain(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Other stain vectors, strengths and white balance, uint8 (H, W, 3).

    Args:
        image: uint8 (H, W, 3), RGB.
        rng: source of chance.
    """
    density = np.log(256.0) - np.log(image.astype(np.float32) + 1)
    vectors = _STAINS.copy()
    vectors[:2] += rng.normal(0, 0.07, (2, 3))
    vectors[:2] = np.maximum(vectors[:2], 0.01)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    strength = np.exp(rng.normal(0, [0.25, 0.3, 0.2]))
    change = np.linalg.inv(_STAINS) @ (strength[:, None] * vectors)
    # Half way back to the tile's own colours, so that odd ones stay odd.
    change = change * 0.7 + 0.3 * np.eye(3)
    density = density @ change.astype(np.float32)
    density *= np.exp(rng.normal(0, 0.2)).astype(np.float32)
    density += rng.normal(0, 0.04, 3).astype(np.float32) + np.float32(rng.normal(0, 0.03))
    return np.clip(256 * np.exp(-np.maximum(density, 0)) - 1, 0, 255).astype(np.uint8)


def transfer(image: np.ndarray, own: Stains, other: Stains) -> np.ndarray:
    """The picture in the stains of another tile, uint8 (H, W, 3).

    Args:
        image: uint8 (H, W, 3), RGB.
        own: the stains of the picture.
        other: the stains to give it.
    """
    bases = []
    for stains in (own, other):
        rest = np.cross(stains.matrix[0], stains.matrix[1])
        bases.append(np.concatenate([stains.matrix, [rest / np.linalg.norm(rest)]]))
    # A stain that is hardly there must not be blown up to noise.
    gain = np.append(np.clip(other.strength / own.strength, 0.4, 2.5), 1.0)
    change = np.linalg.inv(bases[0]) @ (gain[:, None] * bases[1])
    density = colour.optical_density(image, own.white) @ change.astype(np.float32)
    light = (other.white + 1) * np.exp(-np.maximum(density, 0)) - 1
    return np.clip(light, 0, 255).astype(np.uint8)


def recolour(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Another camera: hue, saturation and gamma, uint8 (H, W, 3).

    Args:
        image: uint8 (H, W, 3), RGB.
        rng: source of chance.
    """
    if rng.random() < 0.5:
        values = cv2.cvtColor(image, cv2.COLOR_RGB2HSV).astype(np.float32)
        values[..., 0] = (values[..., 0] + rng.uniform(-12, 12)) % 180
        values[..., 1] = np.minimum(values[..., 1] * rng.uniform(0.45, 1.5), 255)
        image = cv2.cvtColor(values.astype(np.uint8), cv2.COLOR_HSV2RGB)
    if rng.random() < 0.3:
        table = 255 * (np.arange(256) / 255) ** np.exp(rng.normal(0, 0.25))
        image = table.astype(np.uint8)[image]
    return image


def degrade(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Focus, sharpening, noise and JPEG, uint8 (H, W, 3).

    Args:
        image: uint8 (H, W, 3), RGB.
        rng: source of chance.
    """
    if rng.random() < 0.3:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 1.4))
    elif rng.random() < 0.15:
        soft = cv2.GaussianBlur(image, (0, 0), 1.5)
        image = cv2.addWeighted(image, 1.7, soft, -0.7, 0)
    if rng.random() < 0.2:
        noise = rng.normal(0, rng.uniform(1, 8), image.shape)
        image = np.clip(image + noise, 0, 255).astype(np.uint8)
    if rng.random() < 0.3:
        quality = int(rng.integers(25, 90))
        _, code = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
        image = cv2.imdecode(code, cv2.IMREAD_COLOR)
    return image


def random_view(
    shape: tuple[int, int], factor: float, size: int, rng: np.random.Generator
) -> np.ndarray:
    """Affine map of a crop: turned, mirrored, rescaled and somewhere in the tile, (2, 3).

    Args:
        shape: (H, W) of the tile.
        factor: crop pixels per tile pixel.
        size: side of the crop in pixels.
        rng: source of chance.
    """
    angle = rng.integers(4) * np.pi / 2 + rng.normal(0, 0.15)
    stretch = np.diag(np.exp(rng.normal(0, 0.06, 2)))
    mirror = np.diag([rng.choice([-1.0, 1.0]), 1.0])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = factor * turn @ stretch @ mirror
    half = size / factor / 2
    height, width = shape
    centre = [
        rng.uniform(min(half, side / 2), max(side - half, side / 2)) for side in (width, height)
    ]
    shift = size / 2 - linear @ centre
    return np.concatenate([linear, shift[:, None]], axis=1)
