"""Size, shape and spacing of the single objects of a label map."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
from scipy.spatial import cKDTree


@dataclasses.dataclass(frozen=True)
class Objects:
    """Parallel arrays, one entry per object, in the order of the labels.

    Attributes:
        area_px: int64 (n,), pixels.
        center_px: float64 (n, 2), y and x of the centroid.
        elongation: float64 (n,), ratio of the principal axes, >= 1.
        solidity: float64 (n,), area over the area of the convex hull, 0..1.
        at_border: bool (n,), whether the object touches the border of the picture.
    """

    area_px: np.ndarray
    center_px: np.ndarray
    elongation: np.ndarray
    solidity: np.ndarray
    at_border: np.ndarray

    @property
    def diameter_px(self) -> np.ndarray:
        """Diameter of the circle of the same area, float64 (n,)."""
        return 2 * np.sqrt(self.area_px / np.pi)

    @property
    def spacing(self) -> np.ndarray:
        """Distance to the nearest other object in own diameters, float64 (n,); empty below two."""
        if len(self.area_px) < 2:
            return np.empty(0)
        distance, _ = cKDTree(self.center_px).query(self.center_px, k=2)
        return distance[:, 1] / self.diameter_px


def components(mask: np.ndarray) -> np.ndarray:
    """Connected parts (8-neighbourhood) of a mask, bool (H, W), as int32 labels (H, W)."""
    return cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)[1]


def measure(labels: np.ndarray) -> Objects:
    """Measure every object of a label map.

    Args:
        labels: int (H, W), 0 background; labels need not be contiguous.
    """
    height, width = labels.shape
    ys, xs = np.nonzero(labels)
    if not len(ys):
        none = np.empty(0)
        return Objects(np.empty(0, np.int64), np.empty((0, 2)), none, none, np.empty(0, bool))
    _, index = np.unique(labels[ys, xs], return_inverse=True)
    n = int(index.max()) + 1
    area = np.bincount(index, minlength=n)

    def mean(values: np.ndarray) -> np.ndarray:
        return np.bincount(index, values, minlength=n) / area

    cy, cx = mean(ys), mean(xs)
    dy, dx = ys - cy[index], xs - cx[index]
    # A pixel is a unit square, whose own variance keeps single pixels and lines finite.
    vyy, vxx, vxy = mean(dy * dy) + 1 / 12, mean(dx * dx) + 1 / 12, mean(dy * dx)
    half = np.sqrt(((vyy - vxx) / 2) ** 2 + vxy**2)
    middle = (vyy + vxx) / 2
    elongation = np.sqrt((middle + half) / np.maximum(middle - half, 1e-6))

    bottom, right = np.zeros(n, np.int64), np.zeros(n, np.int64)
    top, left = np.full(n, height), np.full(n, width)
    for low, high, values in ((top, bottom, ys), (left, right, xs)):
        np.minimum.at(low, index, values)
        np.maximum.at(high, index, values)
    at_border = (top == 0) | (left == 0) | (bottom == height - 1) | (right == width - 1)

    solidity = np.empty(n)
    order = np.argsort(index, kind="stable")
    ends = np.cumsum(area)
    for i in range(n):
        members = order[ends[i] - area[i] : ends[i]]
        hull = cv2.convexHull(np.stack([xs[members], ys[members]], axis=1).astype(np.int32))
        # Area and half the perimeter plus one: pixels of the hull by Pick's theorem.
        covered = cv2.contourArea(hull) + cv2.arcLength(hull, closed=True) / 2 + 1
        solidity[i] = min(1.0, area[i] / covered)
    return Objects(area, np.stack([cy, cx], axis=1), elongation, solidity, at_border)
