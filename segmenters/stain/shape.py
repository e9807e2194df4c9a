"""Moments of all objects of a label map at once."""

from __future__ import annotations

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Shapes:
    """Measured objects, parallel float64 arrays of length n in label order, in pixels.

    Attributes:
        area: number of pixels, at least 1.
        y: row of the centre.
        x: column of the centre.
        major: long axis of the ellipse with the same moments.
        minor: its short axis.
    """

    area: np.ndarray
    y: np.ndarray
    x: np.ndarray
    major: np.ndarray
    minor: np.ndarray

    @property
    def fill(self) -> np.ndarray:
        """Area over that of the ellipse: 1 for an ellipse, less where there are lobes."""
        return self.area / np.maximum(np.pi / 4 * self.major * self.minor, 1e-6)


def measure(labels: np.ndarray) -> Shapes:
    """Shapes of objects 1..n.

    Args:
        labels: int32 (H, W), 0 background.
    """
    n = int(labels.max()) + 1
    ys, xs = np.nonzero(labels)
    which = labels[ys, xs]

    def mean(values: np.ndarray) -> np.ndarray:
        return np.bincount(which, weights=values, minlength=n)[1:] / area

    area = np.maximum(np.bincount(which, minlength=n)[1:], 1).astype(float)
    y, x = mean(ys), mean(xs)
    dy, dx = ys - y[which - 1], xs - x[which - 1]
    # A pixel is a square of variance 1/12.
    yy, xx, xy = mean(dy * dy) + 1 / 12, mean(dx * dx) + 1 / 12, mean(dy * dx)
    middle, spread = (yy + xx) / 2, np.sqrt(((yy - xx) / 2) ** 2 + xy**2)
    major = 4 * np.sqrt(middle + spread)
    minor = 4 * np.sqrt(np.maximum(middle - spread, 1 / 12))
    return Shapes(area, y, x, major, minor)
