"""Outlines of glands, vessels and other rounded structures: closed curves in pixels."""

from __future__ import annotations

import cv2
import numpy as np
from scipy import ndimage

from miner.demo import fields
from miner.demo.canvas import Canvas


def packed(
    canvas: Canvas, mask: np.ndarray, radius_um: tuple[float, float], gap: float, limit: int = 400
) -> list[tuple[float, float, float]]:
    """Centres and radii (pixels) of circles in a mask that do not touch.

    Args:
        canvas: supplies randomness and scale.
        mask: bool (H, W), where centres may lie (glands may be cut by the edge of the tile).
        radius_um: smallest and largest radius.
        gap: least distance of two circles relative to the sum of their radii (1 touch).
        limit: most circles.
    """
    found: list[tuple[float, float, float]] = []
    spots = np.flatnonzero(mask)
    if not len(spots):
        return found
    low, high = canvas.px(radius_um[0]), canvas.px(radius_um[1])
    tries = int(np.clip(14 * len(spots) / (np.pi * low * high), 24, 6000))
    chosen = canvas.rng.choice(spots, tries).tolist()
    radii = np.sort(canvas.rng.uniform(low, high, tries))[::-1].tolist()
    array = np.empty((limit, 3))
    for spot, r in zip(chosen, radii, strict=True):
        y, x = divmod(spot, canvas.shape[1])
        n = len(found)
        if n:
            d = np.hypot(array[:n, 0] - x, array[:n, 1] - y)
            if (d < gap * (array[:n, 2] + r)).any():
                continue
        array[n] = x, y, r
        found.append((float(x), float(y), float(r)))
        if len(found) >= limit:
            break
    return found


def ring(
    canvas: Canvas, radius_px: float, aspect: float, bumps: float, angle: float, points: int = 120
) -> np.ndarray:
    """A bumpy ellipse around the origin, float (N, 2), counter-clockwise with y upwards."""
    t = np.linspace(0, 2 * np.pi, points, endpoint=False)
    waves = canvas.rng.standard_normal((2, 4)) * bumps / np.arange(2, 6) ** 0.8
    radius = np.ones(points)
    for k in range(4):
        radius += waves[0, k] * np.cos((k + 2) * t) + waves[1, k] * np.sin((k + 2) * t)
    radius = radius_px * np.clip(radius, 0.45, 1.7)
    x, y = np.cos(t) * radius * np.sqrt(aspect), np.sin(t) * radius / np.sqrt(aspect)
    cos, sin = np.cos(angle), np.sin(angle)
    curve = np.stack([cos * x - sin * y, sin * x + cos * y], 1)
    return curve


def normals(curve: np.ndarray) -> np.ndarray:
    """Outward normals of a closed curve that runs as `ring` makes it, float (N, 2)."""
    tangent = np.roll(curve, -1, 0) - np.roll(curve, 1, 0)
    normal = np.stack([tangent[:, 1], -tangent[:, 0]], 1)
    return normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-6)


def rings(
    canvas: Canvas,
    circles: list[tuple[float, float, float]],
    aspect: tuple[float, float] = (1.0, 1.5),
    bumps: float = 0.12,
    angle: float | None = None,
) -> list[np.ndarray]:
    """Outlines that stand apart: bumpy ellipses at x, y with a radius (pixels).

    Args:
        canvas: supplies randomness.
        circles: x, y, radius in pixels.
        aspect: range of length over width.
        bumps: irregularity of the outline.
        angle: common direction, or None.
    """
    rng, curves = canvas.rng, []
    for x, y, radius in circles:
        turn = rng.uniform(0, np.pi) if angle is None else angle + 0.2 * rng.standard_normal()
        curve = ring(canvas, radius, float(rng.uniform(*aspect)), bumps, float(turn))
        curves.append(curve + np.array([x, y]))
    return curves


def crowded(
    canvas: Canvas, spacing_um: float, gap_um: float, stretch: float = 1.0
) -> list[np.ndarray]:
    """Outlines back to back: rounded cells of a jittered grid that covers the tile.

    Args:
        canvas: supplies randomness and scale.
        spacing_um: mean distance of neighbours.
        gap_um: width of the tissue between them.
        stretch: length over width.

    Returns:
        Closed curves in pixels, float (120, 2) each.
    """
    rng = canvas.rng
    fine = 22  # grid points per spacing
    reach = float(np.hypot(*canvas.shape)) * canvas.mpp / spacing_um
    count = int(np.ceil(reach / 2)) + 2
    v, u = np.mgrid[-count : count + 1, -count : count + 1].astype(float)
    u = u + 0.5 * (v % 2) + rng.normal(0, 0.22, u.shape)
    v = v + rng.normal(0, 0.22, v.shape)
    side = (2 * count + 1) * fine
    cells = fields.nearest(
        (side, side), (u.ravel() + count + 0.5) * fine, (v.ravel() + count + 0.5) * fine
    )
    free = fields.distance(~fields.borders(cells)) > 0.5 * gap_um / spacing_um * fine
    angle = rng.uniform(0, np.pi)
    cos, sin = np.cos(angle), np.sin(angle)
    height, width = canvas.shape
    curves = []
    for number, box in enumerate(ndimage.find_objects(cells), start=1):
        if box is None:
            continue
        inside = ((cells[box] == number) & free[box]).astype(np.uint8)
        found, _ = cv2.findContours(np.pad(inside, 1), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        if not found:
            continue
        contour = max(found, key=len)[::-1, 0].astype(float)
        if len(contour) < 16:
            continue
        contour += (box[1].start - 1, box[0].start - 1)
        contour = (rounded(contour) / fine - count - 0.5) * canvas.px(spacing_um)
        x, y = contour[:, 0] * np.sqrt(stretch), contour[:, 1] / np.sqrt(stretch)
        curve = np.stack([cos * x - sin * y + width / 2, sin * x + cos * y + height / 2], 1)
        low, high = curve.min(0), curve.max(0)
        if (high > 0).all() and (low < (width, height)).all():
            curves.append(curve)
    return curves


def rounded(contour: np.ndarray, points: int = 120, waves: int = 3) -> np.ndarray:
    """A closed curve with only its slowest waves left, float (points, 2)."""
    at = np.linspace(0, len(contour), points, endpoint=False)
    closed = np.vstack([contour, contour[:1]])
    steps = np.arange(len(closed))
    z = np.interp(at, steps, closed[:, 0]) + 1j * np.interp(at, steps, closed[:, 1])
    spectrum = np.fft.fft(z)
    spectrum[waves + 1 : -waves] = 0
    z = np.fft.ifft(spectrum)
    return np.stack([z.real, z.imag], 1)


def within(canvas: Canvas, curves: list[np.ndarray], mask: np.ndarray) -> list[np.ndarray]:
    """The curves that lie on a mask, by where they run through the tile."""
    height, width = canvas.shape
    kept = []
    for curve in curves:
        points = np.round(np.vstack([curve[::6], curve.mean(0)])).astype(int)
        seen = points[((points >= 0) & (points < (width, height))).all(1)]
        if len(seen) and mask[seen[:, 1], seen[:, 0]].all():
            kept.append(curve)
    return kept


def along(curve: np.ndarray, normal: np.ndarray, step: float) -> tuple[np.ndarray, np.ndarray]:
    """Points every `step` pixels along a closed curve, with the normals there."""
    closed = np.vstack([curve, curve[:1]])
    normals = np.vstack([normal, normal[:1]])
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(closed, axis=0), axis=1))])
    count = max(int(length[-1] / max(step, 0.5)), 3)
    at = np.linspace(0, length[-1], count, endpoint=False)
    points = np.stack([np.interp(at, length, closed[:, i]) for i in (0, 1)], 1)
    there = np.stack([np.interp(at, length, normals[:, i]) for i in (0, 1)], 1)
    return points, there


def moved(curve: np.ndarray, x: float, y: float) -> np.ndarray:
    """A curve around the origin, moved to another point, float (N, 2)."""
    return curve + np.array([x, y])
