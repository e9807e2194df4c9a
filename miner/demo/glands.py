"""Glands, ducts, crypts, tubules, follicles: a wall of cells around a lumen."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

from miner.demo import contours, fields
from miner.demo.canvas import Canvas
from miner.demo.nuclei import fill


@dataclasses.dataclass(frozen=True)
class Wall:
    """How the wall of a gland is built; lengths in micrometres.

    Attributes:
        kind: kind of its nuclei.
        height: thickness of the epithelium.
        spacing: distance of neighbouring nuclei along the wall.
        rows: rows of nuclei.
        base: distance of the first row from the base.
        fold: amplitude of the folds of the inner outline, relative to the height.
        folds: number of folds.
        eosin: cytoplasm.
        hematoxylin: cytoplasm.
        goblet: share of cells with a mucin vacuole.
        outer: kind of an outer row (basal or myoepithelial cells), "" for none.
        content: what the lumen holds: empty, secretion, mucin, debris, colloid, blood.
        gland: entity of the whole, "gland" or another.
        lumen: entity of the lumen, "lumen" or another.
    """

    kind: str = "epithelial"
    height: float = 18.0
    spacing: float = 6.5
    rows: int = 1
    base: float = 5.0
    fold: float = 0.1
    folds: int = 5
    eosin: float = 0.26
    hematoxylin: float = 0.14
    goblet: float = 0.0
    outer: str = ""
    content: str = "empty"
    gland: str = "gland"
    lumen: str = "lumen"


def glands(canvas: Canvas, curves: list[np.ndarray], wall: Wall) -> np.ndarray:
    """Draw glands with their epithelium, lumen and nuclei.

    Args:
        canvas: what is painted.
        curves: their outlines in pixels, from `rings` or `crowded`.
        wall: how they are built.

    Returns:
        Their area, bool (H, W).
    """
    outer = np.zeros(canvas.shape, np.int32)
    inner = np.zeros(canvas.shape, np.int32)
    vacuoles = np.zeros(canvas.shape, np.int32)
    drawn: list[tuple[np.ndarray, np.ndarray, float]] = []
    rng = canvas.rng
    for number, curve in enumerate(curves, start=1):
        normal = contours.normals(curve)
        fill(outer, curve, number)
        # Half the width of the narrow side.
        radius = 0.8 * float(np.linalg.norm(curve - curve.mean(0), axis=1).min())
        height = min(canvas.px(wall.height) * float(rng.uniform(0.85, 1.15)), 1.1 * radius)
        phase = rng.uniform(0, 2 * np.pi, 2)
        t = np.linspace(0, 2 * np.pi, len(curve), endpoint=False)
        wave = np.sin(wall.folds * t + phase[0]) + 0.6 * np.sin(1.7 * wall.folds * t + phase[1])
        depth = height * (1 + wall.fold * wave)
        # Near the ends of an ellipse the inner outline must not cross itself.
        hole = curve - normal * np.minimum(depth, 1.12 * radius)[:, None]
        if height < 1.05 * radius:
            fill(inner, hole, number)
        drawn.append((curve, normal, height))
    inner = np.where(outer == inner, inner, 0)
    area = outer > 0
    canvas.clear(area)
    for curve, normal, height in drawn:
        line_nuclei(canvas, curve, normal, wall, height)
        if wall.goblet:
            goblets(canvas, vacuoles, curve, normal, wall, height)
    lining = area & (inner == 0)
    paint_wall(canvas, lining, area, wall)
    lumen(canvas, inner > 0, wall.content)
    if vacuoles.any():
        bubble = lining & (vacuoles > 0)
        veil = 0.06 + 0.03 * canvas.noise(3, 2)
        canvas.paint(bubble, soft_um=0.9, hematoxylin=np.maximum(veil, 0), eosin=0.05)
        canvas.join("goblet_cell", np.where(bubble, vacuoles, 0))
    canvas.join(wall.gland, outer)
    if wall.lumen:
        canvas.join(wall.lumen, inner)
    if wall.gland != "blood_vessel":
        canvas.mark("epithelium", lining)
        if wall.kind.startswith("tumor"):
            canvas.mark("tumor", lining)
    canvas.taken[area] = 1
    return area


def line_nuclei(
    canvas: Canvas, curve: np.ndarray, normal: np.ndarray, wall: Wall, height: float
) -> None:
    """Place the nuclei of a wall, upright on its base."""
    step = canvas.px(wall.spacing)
    base = min(canvas.px(wall.base), 0.5 * height)
    for row in range(wall.rows):
        points, there = contours.along(curve, normal, step)
        room = max(height - base - canvas.px(2.0), 0.0)
        share = base + room * row / max(wall.rows, 1)
        jitter = canvas.rng.standard_normal((len(points), 2))
        spread = min(canvas.px(0.9), 0.1 * height) if wall.rows == 1 else 0.22 * room / wall.rows
        for (px, py), (nx, ny), (jr, ja) in zip(
            points.tolist(), there.tolist(), jitter.tolist(), strict=True
        ):
            if canvas.rng.random() < 0.06:
                continue
            inward = share + jr * spread
            slide = 0.16 * step * ja
            canvas.put(
                wall.kind,
                px - nx * inward - ny * slide,
                py - ny * inward + nx * slide,
                float(np.arctan2(ny, nx)) + 0.14 * ja,
            )
    if wall.outer:
        points, there = contours.along(curve, normal, canvas.px(11))
        for (px, py), (nx, ny) in zip(points.tolist(), there.tolist(), strict=True):
            if canvas.rng.random() < 0.7:
                canvas.put(
                    wall.outer, px - nx * canvas.px(1.6), py - ny * canvas.px(1.6),
                    float(np.arctan2(ny, nx)) + np.pi / 2,
                )  # fmt: skip


def goblets(
    canvas: Canvas,
    vacuoles: np.ndarray,
    curve: np.ndarray,
    normal: np.ndarray,
    wall: Wall,
    height: float,
) -> None:
    """Draw the mucin vacuoles of goblet cells on the inner side of the nuclei."""
    step = canvas.px(7.5)
    points, there = contours.along(curve - normal * 0.6 * height, normal, step)
    number = int(vacuoles.max())
    t = np.linspace(0, 2 * np.pi, 14, endpoint=False)
    for (px, py), (nx, ny) in zip(points.tolist(), there.tolist(), strict=True):
        if canvas.rng.random() > wall.goblet:
            continue
        number += 1
        a = 0.33 * height * canvas.uniform(0.8, 1.15)
        b = canvas.px(3.6) * canvas.uniform(0.8, 1.15)
        x, y = a * np.cos(t), b * np.sin(t) * (1 - 0.25 * np.cos(t))
        shape = np.stack([px + nx * x - ny * y, py + ny * x + nx * y], 1)
        fill(vacuoles, shape, number)


def paint_wall(canvas: Canvas, lining: np.ndarray, area: np.ndarray, wall: Wall) -> None:
    """Paint the cytoplasm of the epithelium, darker at the base, with a basement membrane."""
    grain = canvas.noise(2.0, 2)
    slow = canvas.noise(20, 2)
    canvas.paint(
        lining,
        soft_um=0.8,
        eosin=np.maximum(wall.eosin * (1 + 0.16 * grain + 0.15 * slow), 0),
        hematoxylin=np.maximum(
            canvas.basophilia * wall.hematoxylin * (1 + 0.18 * grain + 0.2 * slow), 0
        ),
    )
    canvas.cleft(area)
    rim = cv2.morphologyEx(area.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    canvas.add("eosin", 0.12 * fields.blur(rim.astype(np.float32), canvas.px(0.4)))


def lumen(canvas: Canvas, mask: np.ndarray, content: str) -> None:
    """Fill a lumen with its content."""
    if not mask.any():
        return
    if content == "colloid":
        tone = 0.36 * (1 + 0.1 * canvas.noise(60, 2))
        canvas.paint(mask, soft_um=0.8, eosin=tone, hematoxylin=0.03)
        canvas.mark("colloid", mask)
    elif content == "mucin":
        veil = np.maximum(0.09 + 0.05 * canvas.noise(14, 3), 0)
        canvas.paint(mask, soft_um=0.8, hematoxylin=veil, eosin=0.05)
        canvas.mark("mucin", mask)
    elif content == "debris":
        grain = np.maximum(0.22 + 0.16 * canvas.noise(4, 3), 0)
        canvas.paint(mask, soft_um=0.8, eosin=grain, hematoxylin=0.25 * grain)
        canvas.mark("necrosis", mask & (canvas.noise(25, 2) > -0.8))
        area = float(mask.sum()) * canvas.mpp**2
        canvas.place(mask, "debris", 4, limit=int(area / 160))
        canvas.place(mask, "neutrophil", 9, limit=int(area / 1500))
    elif content == "secretion":
        veil = np.clip(0.12 * (canvas.noise(22, 3) + 0.2), 0, 0.3)
        canvas.paint(mask, soft_um=0.8, eosin=veil, hematoxylin=0.02)
    else:
        canvas.paint(mask, soft_um=0.8, eosin=0.012)
