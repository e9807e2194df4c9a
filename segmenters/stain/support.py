"""What kind of picture a tile is, and whether anything can be told in it."""

from __future__ import annotations

import functools
import importlib.resources
import json

import cv2
import numpy as np

from segmenters.levels import extremes, percentile
from segmenters.stain import colour

# Pictures whose brightest percent stays below this are black; whose median stays below `DARK`,
# fluorescence: sections in bright field let light through.
BLACK_LEVEL = 40
DARK_LEVEL = 50
# Share of tissue below which a tile is blank: a few cells on glass have more.
BLANK_SHARE = 0.004
# Share of strong brown among the densest tenth of the tissue from which a tile is taken for
# immunohistochemistry: what is brown in H&E is pale (brown fat, old glass, saffron). Of 1,388
# training tiles two of spleen full of iron have .05 and .12, no other has more than .004; two real
# immunostains have .45 and .79. Of 30 phantoms with DAB 16 have more; those with hardly a brown
# cell are taken for H&E.
BROWN_SHARE = 0.08
# Probability from which a tile is taken for PAS: of tiles kept apart all 4 of PAS reach it and 1 of
# 390 of H&E, the most purple of a purple set.
PAS_PROBABILITY = 0.705
CHROMA_BINS = 12
CHROMA_RANGE = 0.6
_THUMBNAIL = 256
_TISSUE_OD = 0.15

HE, BLANK, BLACK, FLUORESCENCE, IHC, PAS = "H&E", "blank", "black", "fluorescence", "IHC", "PAS"
# The stain in which a concept was learned and measured, where that is not H&E.
STAIN_OF = {"glomerulus": PAS}
KINDS = (HE, BLANK, BLACK, FLUORESCENCE, IHC, PAS)


def supported(kind: str, concept: str) -> bool:
    """Whether a concept can be told in such a picture.

    Args:
        kind: one of `KINDS`.
        concept: a key of `segmenters.routes.ROUTES`.
    """
    return kind == STAIN_OF.get(concept, HE)


def tissue_densities(image: np.ndarray) -> tuple[np.ndarray, float]:
    """Optical densities of the tissue of a thumbnail, and the share that is tissue.

    Args:
        image: uint8 (H, W, 3), RGB.

    Returns:
        float32 (n, 3), natural-log optical density; share 0..1.
    """
    factor = _THUMBNAIL / max(image.shape[:2])
    if factor < 1:
        image = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    density = colour.optical_density(image, colour.white_point(image)).reshape(-1, 3)
    tissue = density[density.mean(axis=1) > _TISSUE_OD]
    return tissue, len(tissue) / len(density)


def chroma(tissue: np.ndarray) -> np.ndarray:
    """Root of the histogram of red and blue shares of the density, float32 (144,).

    Args:
        tissue: float32 (n, 3), natural-log optical density of the tissue.
    """
    share = tissue / np.maximum(tissue.sum(axis=1, keepdims=True), 1e-6)
    histogram, _, _ = np.histogram2d(
        share[:, 0],
        share[:, 2],
        bins=CHROMA_BINS,
        range=[[0, CHROMA_RANGE]] * 2,
        weights=tissue.mean(axis=1),
    )
    histogram = cv2.GaussianBlur(histogram / max(float(histogram.sum()), 1e-9), (0, 0), 0.7)
    return np.sqrt(histogram).ravel().astype(np.float32)


@functools.cache
def _pas_model() -> tuple[np.ndarray, float]:
    source = importlib.resources.files("segmenters.stain") / "data" / "pas.json"
    model = json.loads(source.read_text(encoding="utf-8"))
    return np.array(model["weights"], np.float32), float(model["bias"])


def pas_probability(tissue: np.ndarray) -> float:
    """Probability that the colours are those of a PAS stain.

    Args:
        tissue: float32 (n, 3), natural-log optical density of the tissue.
    """
    weights, bias = _pas_model()
    return float(1 / (1 + np.exp(-(chroma(tissue) @ weights + bias))))


def recognise(image: np.ndarray) -> str:
    """Kind of picture, one of `KINDS`.

    Args:
        image: uint8 (H, W, 3), RGB.
    """
    _, brightness = extremes(image)
    if percentile(brightness, 99.5) < BLACK_LEVEL:
        return BLACK
    if percentile(brightness, 50) < DARK_LEVEL:
        return FLUORESCENCE
    tissue, share = tissue_densities(image)
    if share < BLANK_SHARE or float(cv2.meanStdDev(image)[1].max()) < 2.0:
        return BLANK
    red, green, blue = tissue.T
    # DAB absorbs blue most and red a third as much; eosin and red cells hardly absorb red.
    density = tissue.sum(axis=1)
    brown = (blue > 1.15 * green) & (red > 0.3 * green) & (density > 1.2)
    if float(brown[density >= np.percentile(density, 90)].mean()) > BROWN_SHARE:
        return IHC
    if pas_probability(tissue) > PAS_PROBABILITY:
        return PAS
    return HE
