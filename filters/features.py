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


def pixel_features(image: np.ndarray, mpp: float | None) -> np.ndarray:
    """Compute all features of a picture.

    Args:
        image: uint8 (H, W, 3), RGB.
        mpp: um per pixel; sets the window of the texture, 0.5 when unknown.

    Returns:
        float32 (10, H, W) in the order of `FEATURES`. Densities are optical densities (natural
        logarithm), colours CIELAB, normalised features in units of the picture's 99th percentile.
    """
    density = -np.log((image.astype(np.float32) + 1) / 256)
    flat = density.reshape(-1, 3)
    total = flat.mean(axis=1)
    tissue = np.flatnonzero(total > TISSUE_OD)
    sample = flat[tissue[evenly(len(tissue), STAIN_PIXELS)]]
    size = image.shape[:2]

    raw = flat @ np.linalg.pinv(RUIFROK).astype(np.float32)
    lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    own = np.linalg.pinv(stain_vectors(sample)).astype(np.float32)
    top = np.percentile(sample @ own, 99, axis=0) if len(sample) else np.ones(2)
    normalized = flat @ own / np.maximum(top, 0.05).astype(np.float32)
    dense = np.percentile(sample.mean(axis=1), 99) if len(sample) else 1.0
    grey = (total / np.float32(max(dense, 0.05))).reshape(size)

    window = max(3, round(TEXTURE_UM / (mpp or DEFAULT_MPP)) | 1)
    out = np.empty((len(FEATURES), *size), np.float32)
    out[0], out[1] = raw[:, 0].reshape(size), raw[:, 1].reshape(size)
    out[2], out[3], out[4] = lab[..., 0], lab[..., 1], lab[..., 2]
    out[5] = _deviation(total.reshape(size), window)
    out[6], out[7] = normalized[:, 0].reshape(size), normalized[:, 1].reshape(size)
    out[8] = grey
    out[9] = _deviation(grey, window)
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
