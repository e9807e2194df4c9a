"""Blood vessels: a wall with flat nuclei around a lumen."""

from __future__ import annotations

import numpy as np

from miner.demo import contours
from miner.demo.canvas import Canvas
from miner.demo.nuclei import fill
from miner.demo.tissue import red_cells


def vessels(
    canvas: Canvas, circles: list[tuple[float, float, float]], wall_um: float, blood: float
) -> np.ndarray:
    """Vessels: a wall with flat nuclei around a lumen that may hold red cells.

    Args:
        canvas: what is painted.
        circles: x, y, radius in pixels.
        wall_um: thickness of the wall; above 8 um it has muscle.
        blood: share of the lumen packed with red cells.

    Returns:
        Their area, bool (H, W).
    """
    outer = np.zeros(canvas.shape, np.int32)
    inner = np.zeros(canvas.shape, np.int32)
    drawn: list[tuple[np.ndarray, np.ndarray, float]] = []
    rng = canvas.rng
    for number, (x, y, radius) in enumerate(circles, start=1):
        aspect = float(rng.uniform(1.0, 2.2))
        curve = contours.ring(canvas, radius, aspect, 0.09, float(rng.uniform(0, np.pi)))
        centre = np.array([x, y])
        narrow = radius / np.sqrt(aspect)
        thick = min(canvas.px(wall_um), 0.6 * narrow)
        fill(outer, curve + centre, number)
        # Shrunk towards the centre: a narrow outline moved along its normals would cross itself.
        fill(inner, curve * (1 - thick / narrow) + centre, number)
        drawn.append((curve + centre, contours.normals(curve), thick))
    inner = np.where(outer == inner, inner, 0)
    area, hole = outer > 0, inner > 0
    canvas.clear(area)
    for curve, normal, thick in drawn:
        rows = [(0.85, "endothelial", 13.0)]
        if wall_um > 8:
            rows += [(0.5, "endothelial", 15.0), (0.2, "endothelial", 15.0)]
        for share, kind, spacing in rows:
            points, there = contours.along(
                curve - normal * thick * share, normal, canvas.px(spacing)
            )
            for (px, py), (nx, ny) in zip(points.tolist(), there.tolist(), strict=True):
                if rng.random() < 0.75:
                    canvas.put(kind, px, py, float(np.arctan2(ny, nx)) + np.pi / 2)
    tone = 0.5 if wall_um > 8 else 0.38
    canvas.paint(
        area & ~hole, soft_um=0.7, eosin=np.maximum(tone * (1 + 0.2 * canvas.noise(3, 2)), 0),
        hematoxylin=0.07,
    )  # fmt: skip
    canvas.paint(hole, soft_um=0.7, eosin=0.012)
    canvas.join("blood_vessel", outer)
    canvas.taken[area] = 1
    if blood > 0:
        red_cells(canvas, hole & (canvas.noise(20, 2) < 3 * blood - 1), 0.95)
    return area
