"""Optical density and the two stains of H&E, estimated tile by tile."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

from segmenters.levels import percentile

# Ruifrok and Johnston's optical-density vectors (R, G, B), unit length.
HAEMATOXYLIN = np.array([0.650, 0.704, 0.286], np.float32)
EOSIN = np.array([0.092, 0.954, 0.283], np.float32)
HAEMATOXYLIN /= np.linalg.norm(HAEMATOXYLIN)
EOSIN /= np.linalg.norm(EOSIN)

# Natural-log optical density below which a pixel is glass: the value of Macenko 2009.
GLASS_OD = 0.15
# Cosine to the reference below which an estimated vector is not that stain (26 degrees).
PLAUSIBLE_COSINE = 0.90
# Cosine above which two estimates are one stain (10 degrees apart).
SAME_COSINE = 0.985
MIN_TISSUE_PIXELS = 500
_SAMPLE = 20_000


@dataclasses.dataclass(frozen=True)
class Stains:
    """The stain vectors of one tile.

    Attributes:
        matrix: float32 (2, 3), haematoxylin and eosin, unit length, RGB optical density.
        white: float32 (3,), intensity of glass per channel, 0..255.
        strength: float32 (2,), 99th percentile of each concentration over the tissue.
        fallbacks: how many of the two vectors are the reference instead of an estimate.
    """

    matrix: np.ndarray
    white: np.ndarray
    strength: np.ndarray
    fallbacks: int


def white_point(image: np.ndarray) -> np.ndarray:
    """Intensity of glass per channel, float32 (3,).

    The brightest percent of the pixels where it is near white and near grey (a scanner's
    white balance), 245 otherwise: a tile without glass must not turn its palest eosin white.

    Args:
        image: uint8 (H, W, 3), RGB.
    """
    bright = np.array([percentile(image[..., c], 99) for c in range(3)], np.float32)
    if bright.min() < 200 or bright.max() - bright.min() > 30:
        return np.full(3, 245, np.float32)
    return bright


def optical_density(image: np.ndarray, white: np.ndarray) -> np.ndarray:
    """Natural-log optical density, float32 (H, W, 3), clipped at 0.

    Args:
        image: uint8 (H, W, 3), RGB.
        white: float32 (3,), intensity of glass, 0..255.
    """
    levels = np.arange(256, dtype=np.float32)
    table = np.log(white[None] + 1) - np.log(levels[:, None] + 1)
    return cv2.LUT(image, np.maximum(table, 0).astype(np.float32)[None])


def _plausible(vector: np.ndarray, reference: np.ndarray) -> bool:
    return float(vector @ reference) >= PLAUSIBLE_COSINE


def estimate(density: np.ndarray, white: np.ndarray) -> Stains:
    """Macenko's estimate of the two stain vectors, with fallbacks.

    The extreme angles of the tissue's optical densities in their principal plane. A vector that
    is no plausible haematoxylin (or eosin), as on tiles with one stain, is replaced by the
    reference; so are both when they all but coincide or when there is too little tissue.

    Args:
        density: float32 (H, W, 3), natural-log optical density.
        white: float32 (3,), kept in the result.
    """
    pixels = density.reshape(-1, 3)
    pixels = pixels[:: max(1, len(pixels) // _SAMPLE)]
    tissue = pixels[(pixels > GLASS_OD).all(axis=1)]
    stains, fallbacks = np.stack([HAEMATOXYLIN, EOSIN]), 2
    if len(tissue) >= MIN_TISSUE_PIXELS:
        _, vectors = np.linalg.eigh(np.cov(tissue.T.astype(np.float64)))
        plane = vectors[:, [2, 1]]
        plane = plane * np.where(plane[0] < 0, -1, 1)
        angle = np.arctan2(*(tissue @ plane).T[::-1])
        ends = [plane @ (np.cos(a), np.sin(a)) for a in np.percentile(angle, (1, 99))]
        ends = [np.clip(e, 0, None) / np.linalg.norm(np.clip(e, 0, None)) for e in ends]
        # Eosin hardly absorbs red, haematoxylin does.
        eosin, haematoxylin = sorted(ends, key=lambda e: e[0])
        if float(haematoxylin @ eosin) < SAME_COSINE:
            found = (haematoxylin.astype(np.float32), eosin.astype(np.float32))
            good = [_plausible(v, r) for v, r in zip(found, stains, strict=True)]
            stains = np.stack([f if g else r for f, g, r in zip(found, good, stains, strict=True)])
            fallbacks = 2 - sum(good)
    if float(stains[0] @ stains[1]) > SAME_COSINE:
        stains, fallbacks = np.stack([HAEMATOXYLIN, EOSIN]), 2
    stains = stains.astype(np.float32)
    amounts = tissue if len(tissue) else pixels
    strength = np.percentile(np.maximum(amounts @ np.linalg.pinv(stains), 0), 99, axis=0)
    return Stains(stains, white, np.maximum(strength, 0.1).astype(np.float32), fallbacks)


def unmix(density: np.ndarray, stains: Stains) -> np.ndarray:
    """Stain concentrations, float32 (H, W, 2), 1 is the tile's 99th percentile, from 0.

    Args:
        density: float32 (H, W, 3), natural-log optical density.
        stains: the tile's stains.
    """
    amounts = density @ np.linalg.pinv(stains.matrix).astype(np.float32)
    return np.maximum(amounts / stains.strength, 0)
