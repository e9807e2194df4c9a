"""Pixel features of a stained picture: stain densities, colour and texture, raw and normalised.

The normalised ones use the picture's own stain vectors (Macenko et al. 2009,
doi:10.1109/ISBI.2009.5193250) and divide by its own densest pixels, so that a paler section of the
same tissue gives the same numbers; the raw ones keep what normalisation throws away.
"""

from __future__ import annotations

import cv2
import numpy as np

RAW = ("hematoxylin", "eosin", "lightness", "red_green", "blue_yellow", "texture")
NORMALIZED = ("hematoxylin_norm", "eosin_norm", "density_norm", "texture_norm")
FEATURES = RAW + NORMALIZED

# Optical densities of haematoxylin and eosin: Ruifrok and Johnston 2001.
RUIFROK = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11]], np.float32)

TISSUE_OD = 0.15  # sum over channels / 3; paler pixels are glass (Macenko et al. 2009)
STAIN_PIXELS = 4096  # pixels used to estimate the stain vectors
TEXTURE_UM = 2.0  # window of the local deviation: about a third of a nucleus
DEFAULT_MPP = 0.5
# Optical density (natural logarithm) of every channel value.
DENSITY = -np.log((np.arange(256, dtype=np.float32) + 1) / 256)

_UNMIX = np.linalg.pinv(RUIFROK).astype(np.float32)


def stain_vectors(density: np.ndarray) -> np.ndarray:
    """Estimate haematoxylin's and eosin's optical density vectors.

    Args:
        density: float32 (n, 3), optical densities of tissue pixels.

    Returns:
        float32 (2, 3), unit length; the textbook vectors where there is too little tissue or only
        one colour.
    """
    unit = RUIFROK / np.linalg.norm(RUIFROK, axis=1, keepdims=True)
    if len(density) < 64:
        return unit
    _, vectors = np.linalg.eigh(np.cov(density.T))
    plane = vectors[:, [2, 1]]
    plane = plane * np.where(plane.sum(axis=0) < 0, -1, 1)
    angles = np.arctan2(density @ plane[:, 1], density @ plane[:, 0])
    low, high = np.percentile(angles, [1, 99])
    found = np.stack([plane @ [np.cos(a), np.sin(a)] for a in (low, high)])
    found = found / np.linalg.norm(found, axis=1, keepdims=True)
    # Haematoxylin absorbs red, eosin does not.
    found = found[np.argsort(-found[:, 0])]
    usable = (found > -0.1).all() and float(found[0] @ found[1]) < 0.995
    return found.astype(np.float32) if usable else unit


def evenly(n: int, most: int) -> np.ndarray:
    """At most `most` of `n` positions, evenly spread: a subsample without a random generator."""
    return np.arange(n) if n <= most else np.linspace(0, n - 1, most).astype(np.int64)


class Pixels:
    """The features of a picture, computed where they are asked for.

    A statistic looks at some hundred pixels of a region; only what a pixel's features need of the
    whole picture (its stain vectors, its densest pixels, the texture) is computed for all of it.

    Args:
        image: uint8 (H, W, 3), RGB.
        mpp: um per pixel; sets the window of the texture, 0.5 when unknown.
    """

    def __init__(self, image: np.ndarray, mpp: float | None):
        self.size = image.shape[0] * image.shape[1]
        self._colours = image.reshape(-1, 3)
        total = cv2.transform(cv2.LUT(image, DENSITY), np.full((1, 3), 1 / 3, np.float32))
        tissue = np.flatnonzero(total > TISSUE_OD)
        sample = DENSITY[self._colours[tissue[evenly(len(tissue), STAIN_PIXELS)]]]
        own = np.linalg.pinv(stain_vectors(sample)).astype(np.float32)
        top = np.percentile(sample @ own, 99, axis=0) if len(sample) else np.ones(2)
        self._own = own / np.maximum(top, 0.05).astype(np.float32)
        dense = np.percentile(sample.mean(axis=1), 99) if len(sample) else 1.0
        self._densest = np.float32(max(dense, 0.05))
        window = max(3, round(TEXTURE_UM / (mpp or DEFAULT_MPP)) | 1)
        self._texture = _deviation(total, window).reshape(-1)

    def at(self, where: np.ndarray) -> np.ndarray:
        """Features of some pixels.

        Args:
            where: int (n,), places in the flattened picture.

        Returns:
            float32 (10, n) in the order of `FEATURES`. Densities are optical densities (natural
            logarithm), colours CIELAB, normalised features in units of the picture's 99th
            percentile.
        """
        colours = self._colours[where]
        density = DENSITY[colours]
        out = np.empty((len(FEATURES), len(where)), np.float32)
        out[:2] = (density @ _UNMIX).T
        lab = cv2.cvtColor(colours[None].astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
        out[2:5] = lab[0].T
        out[5] = self._texture[where]
        out[6:8] = (density @ self._own).T
        out[8] = density.mean(axis=1) / self._densest
        out[9] = out[5] / self._densest
        return out


def _deviation(values: np.ndarray, window: int) -> np.ndarray:
    """Standard deviation in a square window, float32 (H, W)."""
    mean = cv2.blur(values, (window, window))
    square = cv2.blur(values * values, (window, window))
    return np.sqrt(np.maximum(square - mean * mean, 0))


def is_grey(image: np.ndarray) -> bool:
    """Whether the picture has no colour: nothing that a stain could be told by."""
    thin = image[:: max(1, image.shape[0] // 128), :: max(1, image.shape[1] // 128)].astype(int)
    return float(np.percentile(thin.max(axis=2) - thin.min(axis=2), 99)) < 12
