"""What a user would otherwise write for nuclei, with scikit-image's own functions."""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from skimage import color, feature, filters, measure, segmentation

from segmenters.stain.nuclei import drop_small


def otsu(image: np.ndarray) -> np.ndarray:
    """Otsu's threshold on the haematoxylin channel, connected components, int32 (H, W)."""
    haematoxylin = color.rgb2hed(image)[..., 0]
    mask = haematoxylin > filters.threshold_otsu(haematoxylin)
    return measure.label(drop_small(mask, 30)).astype(np.int32)


def otsu_watershed(image: np.ndarray) -> np.ndarray:
    """The same, split by a watershed of the distance transform, int32 (H, W)."""
    return _split(otsu(image) > 0, 7)


def gallery(image: np.ndarray) -> np.ndarray:
    """The recipe of scikit-image's gallery ("Segment human cells"), int32 (H, W).

    Smoothing, the upper of two Otsu thresholds, watershed of the distance transform.
    """
    haematoxylin = filters.gaussian(color.rgb2hed(image)[..., 0], 1.5)
    if float(np.ptp(haematoxylin)) < 1e-6:
        return np.zeros(image.shape[:2], np.int32)
    mask = haematoxylin > filters.threshold_multiotsu(haematoxylin, classes=3)[1]
    mask = ndimage.binary_fill_holes(drop_small(mask, 30))
    return _split(mask, 7)


def _split(mask: np.ndarray, reach_px: int) -> np.ndarray:
    distance = ndimage.distance_transform_edt(mask)
    peaks = feature.peak_local_max(distance, min_distance=reach_px, labels=measure.label(mask))
    seeds = np.zeros(mask.shape, np.int32)
    seeds[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    return segmentation.watershed(-distance, seeds, mask=mask).astype(np.int32)


BASELINES = {"Otsu": otsu, "Otsu + watershed": otsu_watershed, "scikit-image": gallery}
