"""Kinds of nuclei by size, shape, darkness and neighbours."""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy.spatial import cKDTree

from segmenters.stain import shape


@dataclasses.dataclass(frozen=True)
class Nuclei:
    """Measured nuclei, parallel arrays of length n in label order.

    Attributes:
        area_um2: area.
        elongation: major over minor axis, from 1.
        fill: area over that of the ellipse with the same moments, 1 for an ellipse.
        density: mean red-channel optical density.
        texture: deviation of the density inside, over its mean.
        redness: mean eosin over haematoxylin concentration inside.
        crowd: nuclei within 20 um, itself not counted.
    """

    area_um2: np.ndarray
    elongation: np.ndarray
    fill: np.ndarray
    density: np.ndarray
    texture: np.ndarray
    redness: np.ndarray
    crowd: np.ndarray


def measure(labels: np.ndarray, density: np.ndarray, stains: np.ndarray, mpp: float) -> Nuclei:
    """Measure every nucleus.

    Args:
        labels: int32 (H, W), 1..n.
        density: float32 (H, W), red-channel optical density.
        stains: float32 (H, W, 2), haematoxylin and eosin concentrations.
        mpp: um per pixel.
    """
    shapes = shape.measure(labels)
    n = len(shapes.area)
    flat, area = labels.ravel(), shapes.area

    def total(values: np.ndarray) -> np.ndarray:
        return np.bincount(flat, weights=values.ravel(), minlength=n + 1)[1:]

    mean = total(density) / area
    deviation = np.sqrt(np.maximum(total(density * density) / area - mean**2, 0))
    crowd = np.zeros(n, int)
    if n:
        places = np.stack([shapes.y, shapes.x], axis=1) * mpp
        tree = cKDTree(places)
        crowd = tree.query_ball_point(places, 20.0, return_length=True) - 1
    return Nuclei(
        area_um2=area * mpp**2,
        elongation=shapes.major / shapes.minor,
        fill=shapes.fill,
        density=mean,
        texture=deviation / np.maximum(mean, 1e-3),
        redness=total(stains[..., 1]) / np.maximum(total(stains[..., 0]), 1e-3),
        crowd=crowd,
    )


def classify(nuclei: Nuclei) -> dict[str, np.ndarray]:
    """Which nuclei are of which kind, bool (n,) per concept; each nucleus has at most one.

    A lymphocyte is small, round and dark; a stromal nucleus is drawn out; an epithelial one is
    larger, paler and in company; a neutrophil is small, dark and lobed.
    """
    if not len(nuclei.area_um2):
        none = np.zeros(0, bool)
        return {
            name: none
            for name in ("lymphocyte", "neutrophil", "epithelial nucleus", "stromal nucleus")
        }
    dark = nuclei.density >= np.median(nuclei.density)
    small = nuclei.area_um2 < 42
    round_ = nuclei.elongation < 1.6
    neutrophil = (nuclei.area_um2 < 60) & (nuclei.fill < 0.85) & dark & (nuclei.crowd < 6)
    lymphocyte = small & round_ & dark & (nuclei.fill > 0.9) & ~neutrophil
    stromal = (nuclei.elongation > 2.0) & ~neutrophil & ~lymphocyte
    stromal |= (nuclei.crowd < 2) & ~neutrophil & ~lymphocyte & (nuclei.area_um2 < 70)
    epithelial = ~(neutrophil | lymphocyte | stromal) & (nuclei.area_um2 > 25)
    return {
        "lymphocyte": lymphocyte,
        "neutrophil": neutrophil,
        "epithelial nucleus": epithelial,
        "stromal nucleus": stromal,
    }
