"""From a probability map to a mask, and to single objects."""

from __future__ import annotations

import math

import numpy as np
import pydantic
from scipy import ndimage
from skimage.feature import peak_local_max
from skimage.segmentation import watershed

from miner.core.settings import Settings

# Physical rules need a scale; where none is known this one is taken (20x).
FALLBACK_MPP = 0.5


class RegionConfig(Settings):
    """How a probability map becomes a mask and single objects.

    Attributes:
        threshold: a pixel belongs to the mask from this probability on.
        smooth_um: sigma of the Gaussian that smooths the map, in um; 0 leaves it as it is.
        min_area_um2: smaller specks are removed, unless the concept's own size says otherwise.
        max_hole_um2: smaller holes are filled, unless the concept's own size says otherwise.
    """

    threshold: float = pydantic.Field(default=0.5, gt=0, lt=1)
    smooth_um: float = pydantic.Field(default=0.0, ge=0)
    min_area_um2: float = pydantic.Field(default=4.0, ge=0)
    max_hole_um2: float = pydantic.Field(default=4.0, ge=0)


def to_region(
    prob: np.ndarray,
    kind: str,
    config: RegionConfig,
    mpp: float | None,
    size_um: tuple[float, float] | None = None,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Mask of a probability map, and its objects where the concept is countable.

    Objects lose specks and holes smaller than a quarter of the concept's smallest object, stuff
    those below the configured areas; never less than the configured areas either way.

    Args:
        prob: float (H, W), 0..1.
        kind: "object" or "stuff".
        config: threshold, smoothing, smallest areas.
        mpp: um per px, None when unknown.
        size_um: typical smallest and largest diameter of one object in um.

    Returns:
        Mask bool (H, W), and for objects labels int32 (H, W), 0 background, with
        `mask == (labels > 0)`.
    """
    scale = mpp or FALLBACK_MPP
    if config.smooth_um > 0:
        prob = ndimage.gaussian_filter(prob, config.smooth_um / scale)
    mask = prob >= config.threshold
    small_um = size_um[0] if kind == "object" and size_um else 0.0
    quarter_um2 = math.pi / 4 * small_um**2 / 4
    speck = max(config.min_area_um2, quarter_um2) / scale**2
    hole = max(config.max_hole_um2, quarter_um2) / scale**2
    mask = ~without_small(~mask, hole)
    mask = without_small(mask, speck)
    if kind != "object":
        return mask, None
    return mask, split_objects(mask, prob, max(1.0, small_um / scale))


def without_small(mask: np.ndarray, least_px: float) -> np.ndarray:
    """The mask, bool (H, W), without connected parts of fewer than `least_px` pixels."""
    components, _ = ndimage.label(mask)
    keep = np.bincount(components.ravel()) >= least_px
    keep[0] = False
    return keep[components]


def split_objects(mask: np.ndarray, prob: np.ndarray, diameter_px: float) -> np.ndarray:
    """Split a mask into objects: watershed on distance to the border and probability.

    Args:
        mask: bool (H, W).
        prob: float (H, W), 0..1.
        diameter_px: of the smallest object; two centres are at least half of it apart.

    Returns:
        int32 (H, W); every pixel of the mask belongs to an object.
    """
    components, count = ndimage.label(mask, structure=np.ones((3, 3), int))
    if not count:
        return np.zeros(mask.shape, np.int32)
    height = ndimage.distance_transform_edt(mask) * prob
    height = ndimage.gaussian_filter(height, diameter_px / 8)
    peaks = peak_local_max(
        height,
        min_distance=max(1, round(diameter_px / 2)),
        labels=components,
        exclude_border=False,
    )
    markers = np.zeros(mask.shape, np.int32)
    # Sorted by place, so that labels do not depend on how ties between peaks are broken.
    for number, (y, x) in enumerate(sorted(map(tuple, peaks.tolist())), start=1):
        markers[y, x] = number
    return watershed(-height, markers, mask=mask).astype(np.int32)
