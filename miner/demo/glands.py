"""Glands, ducts, crypts, tubules, follicles, vessels: a wall of cells around a lumen."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
from scipy import ndimage

from miner.demo import fields
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
        normal = normals(curve)
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
        join(canvas, "goblet_cell", np.where(bubble, vacuoles, 0))
    join(canvas, wall.gland, outer)
    if wall.lumen:
        join(canvas, wall.lumen, inner)
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
        points, there = along(curve, normal, step)
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
        points, there = along(curve, normal, canvas.px(11))
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
    points, there = along(curve - normal * 0.6 * height, normal, step)
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
    from miner.demo.tissue import red_cells

    outer = np.zeros(canvas.shape, np.int32)
    inner = np.zeros(canvas.shape, np.int32)
    drawn: list[tuple[np.ndarray, np.ndarray, float]] = []
    rng = canvas.rng
    for number, (x, y, radius) in enumerate(circles, start=1):
        aspect = float(rng.uniform(1.0, 2.2))
        curve = ring(canvas, radius, aspect, 0.09, float(rng.uniform(0, np.pi)))
        centre = np.array([x, y])
        narrow = radius / np.sqrt(aspect)
        thick = min(canvas.px(wall_um), 0.6 * narrow)
        fill(outer, curve + centre, number)
        # Shrunk towards the centre: a narrow outline moved along its normals would cross itself.
        fill(inner, curve * (1 - thick / narrow) + centre, number)
        drawn.append((curve + centre, normals(curve), thick))
    inner = np.where(outer == inner, inner, 0)
    area, hole = outer > 0, inner > 0
    canvas.clear(area)
    for curve, normal, thick in drawn:
        rows = [(0.85, "endothelial", 13.0)]
        if wall_um > 8:
            rows += [(0.5, "endothelial", 15.0), (0.2, "endothelial", 15.0)]
        for share, kind, spacing in rows:
            points, there = along(curve - normal * thick * share, normal, canvas.px(spacing))
            for (px, py), (nx, ny) in zip(points.tolist(), there.tolist(), strict=True):
                if rng.random() < 0.75:
                    canvas.put(kind, px, py, float(np.arctan2(ny, nx)) + np.pi / 2)
    tone = 0.5 if wall_um > 8 else 0.38
    canvas.paint(
        area & ~hole, soft_um=0.7, eosin=np.maximum(tone * (1 + 0.2 * canvas.noise(3, 2)), 0),
        hematoxylin=0.07,
    )  # fmt: skip
    canvas.paint(hole, soft_um=0.7, eosin=0.012)
    join(canvas, "blood_vessel", outer)
    canvas.taken[area] = 1
    if blood > 0:
        red_cells(canvas, hole & (canvas.noise(20, 2) < 3 * blood - 1), 0.95)
    return area


def join(canvas: Canvas, entity: str, labels: np.ndarray) -> None:
    """Add the objects of a label map to an entity, numbered on from what is there."""
    target = canvas.label(entity)
    top = int(target.max())
    target[labels > 0] = labels[labels > 0] + top
