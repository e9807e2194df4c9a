"""Size, shape and spacing of the single objects of a label map."""

from __future__ import annotations

import dataclasses
import functools

import cv2
import numpy as np
from scipy.spatial import cKDTree


@dataclasses.dataclass(frozen=True)
class Objects:
    """Parallel arrays, one entry per object, in the order of the labels.

    Centres and elongations are computed when first asked for: regions have no use for them.

    Attributes:
        labels: int (H, W), 0 background; need not be contiguous.
        positions: int64 (largest label + 1,), place of every label in the other arrays.
        area_px: int64 (n,), pixels.
        solidity: float64 (n,), area over the area of the convex hull, 0..1.
        at_border: bool (n,), whether the object touches the border of the picture.
    """

    labels: np.ndarray
    positions: np.ndarray
    area_px: np.ndarray
    solidity: np.ndarray
    at_border: np.ndarray

    @property
    def diameter_px(self) -> np.ndarray:
        """Diameter of the circle of the same area, float64 (n,)."""
        return 2 * np.sqrt(self.area_px / np.pi)

    @property
    def center_px(self) -> np.ndarray:
        """Centroids, y and x: float64 (n, 2)."""
        return self._moments[0]

    @property
    def elongation(self) -> np.ndarray:
        """Ratio of the principal axes, float64 (n,), >= 1."""
        return self._moments[1]

    @property
    def spacing(self) -> np.ndarray:
        """Distance to the nearest other object in own diameters, float64 (n,); empty below two."""
        if len(self.area_px) < 2:
            return np.empty(0)
        distance, _ = cKDTree(self.center_px).query(self.center_px, k=2)
        return distance[:, 1] / self.diameter_px

    @functools.cached_property
    def _moments(self) -> tuple[np.ndarray, np.ndarray]:
        flat = self.labels.reshape(-1)
        where = np.flatnonzero(flat)
        index = self.positions[flat[where]]
        ys, xs = np.divmod(where, self.labels.shape[1])

        def mean(values: np.ndarray) -> np.ndarray:
            return np.bincount(index, values, minlength=len(self.area_px)) / self.area_px

        cy, cx = mean(ys), mean(xs)
        dy, dx = ys - cy[index], xs - cx[index]
        # A pixel is a unit square, whose own variance keeps single pixels and lines finite.
        vyy, vxx, vxy = mean(dy * dy) + 1 / 12, mean(dx * dx) + 1 / 12, mean(dy * dx)
        half = np.sqrt(((vyy - vxx) / 2) ** 2 + vxy**2)
        middle = (vyy + vxx) / 2
        elongation = np.sqrt((middle + half) / np.maximum(middle - half, 1e-6))
        return np.stack([cy, cx], axis=1), elongation


def components(mask: np.ndarray) -> np.ndarray:
    """Connected parts (8-neighbourhood) of a mask, bool (H, W), as int32 labels (H, W)."""
    return cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)[1]


def measure(labels: np.ndarray) -> Objects:
    """Measure every object of a label map.

    Args:
        labels: int (H, W), 0 background; labels need not be contiguous.
    """
    count = np.bincount(labels.ravel())
    count[0] = 0
    names = np.flatnonzero(count)
    border = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    at_border = np.zeros(len(count), bool)
    at_border[border] = True
    area = count[names]
    positions = np.cumsum(count > 0) - 1
    solidity = _solidity(labels, positions, area)
    return Objects(labels, positions, area, solidity, at_border[names])


def _solidity(labels: np.ndarray, positions: np.ndarray, area: np.ndarray) -> np.ndarray:
    """Area over the area of the convex hull, float64 (n,), 0..1.

    Args:
        labels: int (H, W).
        positions: place of every label among the objects.
        area: of every object.
    """
    # Only outlines can be corners of a hull; they are a fraction of the pixels.
    padded = np.pad(labels, 1)
    inner = padded[1:-1, 1:-1]
    edge = inner > 0
    edge &= (
        (inner != padded[:-2, 1:-1])
        | (inner != padded[2:, 1:-1])
        | (inner != padded[1:-1, :-2])
        | (inner != padded[1:-1, 2:])
    )
    where = np.flatnonzero(edge)
    index = positions[labels.reshape(-1)[where]]
    where = where[np.argsort(index, kind="stable")]
    points = np.stack(np.divmod(where, labels.shape[1])[::-1], axis=1).astype(np.int32)
    ends = np.cumsum(np.bincount(index, minlength=len(area)))
    solidity = np.empty(len(area))
    start = 0
    for i, end in enumerate(ends):
        hull = cv2.convexHull(points[start:end])
        # Area and half the perimeter plus one: pixels of the hull by Pick's theorem.
        covered = cv2.contourArea(hull) + cv2.arcLength(hull, closed=True) / 2 + 1
        solidity[i] = min(1.0, area[i] / covered)
        start = end
    return solidity
