"""The colours of one picture given to another: what tissue looks like in another laboratory."""

from __future__ import annotations

import cv2
import numpy as np

# Mean (3,) and covariance (3, 3) of the optical density of a tile's tissue.
Style = tuple[np.ndarray, np.ndarray]
_THUMBNAIL = 128
_TISSUE_OD = 0.12
_MIN_PIXELS = 400
# Added to every variance, so that a tile of one colour can be mapped onto any other.
_FLOOR = 2e-3
# Optical density of every channel value.
_DENSITY = (np.log(256.0) - np.log(np.arange(1, 257))).astype(np.float32)


def _density(image: np.ndarray) -> np.ndarray:
    return cv2.LUT(image, _DENSITY)


def style_of(*images: np.ndarray) -> Style | None:
    """Colours of the tissue in one or several pictures, None where there is hardly any.

    Args:
        images: uint8 (H, W, 3) each, RGB.
    """
    densities = []
    for image in images:
        factor = min(1.0, _THUMBNAIL / max(image.shape[:2]))
        small = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        densities.append(_density(small).reshape(-1, 3))
    density = np.concatenate(densities)
    tissue = density[density.mean(axis=1) > _TISSUE_OD]
    if len(tissue) < _MIN_PIXELS:
        return None
    covariance = np.cov(tissue.T) + _FLOOR * np.eye(3)
    return tissue.mean(axis=0), covariance


def _power(matrix: np.ndarray, exponent: float) -> np.ndarray:
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.maximum(values, 1e-6) ** exponent) @ vectors.T


def restyle(image: np.ndarray, own: Style, style: Style, share: float) -> np.ndarray:
    """A picture in other colours: its densities moved by the linear map of least displacement.

    Args:
        image: uint8 (H, W, 3), RGB.
        own: where from: the colours of its tile or of its laboratory, not those of the picture
            alone, so that a crop of nothing but stroma stays redder than glands would be.
        style: where to.
        share: how far, 0 (not at all) to 1.

    Returns:
        uint8 (H, W, 3).
    """
    root, back = _power(own[1], 0.5), _power(own[1], -0.5)
    change = back @ _power(root @ style[1] @ root, 0.5) @ back
    density = _density(image)
    moved = cv2.transform(density, np.column_stack([change.T, style[0] - own[0] @ change]))
    # Glass stays glass, whatever happens to the tissue.
    tissue = cv2.transform(density, np.full((1, 3), 1 / (3 * _TISSUE_OD)))
    tissue = np.clip(tissue, 0, 1)[..., None] * share
    density += tissue * (moved - density)
    return np.clip(256 * cv2.exp(-np.maximum(density, 0)) - 1, 0, 255).astype(np.uint8)
