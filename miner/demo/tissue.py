"""Compartments without glands: stroma, cell sheets, lymphoid tissue, fat, necrosis, blood, ..."""

from __future__ import annotations

import cv2
import numpy as np

from miner.demo import fields
from miner.demo.canvas import Canvas


def stroma(
    canvas: Canvas,
    mask: np.ndarray,
    density: float = 0.42,
    loose: float = 0.3,
    spacing_um: float = 24.0,
    kind: str = "fibroblast",
    entity: str = "stroma",
) -> None:
    """Fibrous tissue: wavy collagen with clefts, and spindle cells along it.

    Args:
        canvas: what is painted.
        mask: bool (H, W).
        density: eosin of the fibres.
        loose: 0 dense to 1 oedematous, how much is cleft between fibres.
        spacing_um: distance of its nuclei.
        kind: kind of its nuclei.
        entity: label map it is drawn to.
    """
    canvas.clear(mask)
    slow = canvas.noise(60, 2)
    # Fibres stand out where tissue is loose; where it is dense they are a fine grain.
    bundle = 1 / (1 + np.exp(-1.6 * (canvas.fibre + 1.6 - 2.2 * loose + 0.6 * slow)))
    eosin = density * (0.4 + 0.65 * bundle) * (1 + 0.09 * canvas.fibre + 0.14 * slow)
    eosin *= 1 - loose * 0.7 * (1 - bundle)
    ground = 0.05 * canvas.basophilia * (1 + 0.5 * canvas.noise(40, 2)) * (0.6 + 0.5 * bundle)
    canvas.paint(mask, eosin=np.maximum(eosin, 0.02), hematoxylin=np.maximum(ground, 0))
    canvas.mark(entity, mask)
    canvas.place(mask, kind, spacing_um)


def muscle(canvas: Canvas, mask: np.ndarray) -> None:
    """Smooth muscle: dense fascicles with cigar-shaped nuclei."""
    canvas.clear(mask)
    fine, _ = fields.fibres(
        canvas.rng,
        canvas.shape,
        canvas.px(50),
        canvas.px(2.0),
        float(np.median(canvas.angle)),
        canvas.px(120),
    )
    eosin = 0.55 * (1 + 0.13 * canvas.fibre + 0.1 * fine + 0.08 * canvas.noise(50, 2))
    canvas.paint(mask, eosin=np.maximum(eosin, 0.05), hematoxylin=0.08)
    canvas.mark("smooth_muscle", mask)
    canvas.place(mask, "muscle", canvas.uniform(13, 20))


def sheet(
    canvas: Canvas,
    mask: np.ndarray,
    kind: str,
    spacing_um: float,
    eosin: float = 0.28,
    hematoxylin: float = 0.14,
    membrane: float = 0.06,
    clear: float = 0.0,
    soft_um: float = 2.5,
    entity: str = "epithelium",
) -> np.ndarray:
    """Solid cells side by side, each with its own tone of cytoplasm.

    Args:
        canvas: what is painted.
        mask: bool (H, W).
        kind: kind of its nuclei.
        spacing_um: distance of its nuclei.
        eosin: mean eosin of the cytoplasm.
        hematoxylin: mean haematoxylin of the cytoplasm.
        membrane: extra density at cell borders (negative: clefts).
        clear: 0..1, how much of the cytoplasm is washed out (clear cells).
        soft_um: how blurred the borders of the cells' tones are.
        entity: label map it is drawn to.

    Returns:
        Voronoi cells of its nuclei, int32 (H, W), 0 outside the mask.
    """
    canvas.clear(mask)
    first = len(canvas.nuclei)
    canvas.place(mask, kind, spacing_um)
    mine = canvas.nuclei[first:]
    cells = fields.nearest(
        canvas.shape, np.array([n.x for n in mine]), np.array([n.y for n in mine])
    )
    cells = np.where(mask, cells, 0)
    tone = np.concatenate([[0], canvas.rng.standard_normal(len(mine))]).astype(np.float32)
    shade = fields.blur(tone[cells], canvas.px(soft_um))
    grain = canvas.noise(2.2, 2)
    wall = fields.blur(fields.borders(cells).astype(np.float32), canvas.px(0.45))
    wall *= np.float32(min(2.2, 1.2 / canvas.mpp))
    keep = 1 - clear
    hematoxylin *= canvas.basophilia
    canvas.paint(
        mask,
        eosin=np.maximum(eosin * keep * (1 + 0.16 * shade + 0.13 * grain) + membrane * wall, 0),
        hematoxylin=np.maximum(
            hematoxylin * keep * (1 + 0.2 * shade + 0.15 * grain) + 0.6 * membrane * wall, 0
        ),
    )
    canvas.cleft(mask)
    canvas.mark(entity, mask)
    return cells


def lymphoid(
    canvas: Canvas, mask: np.ndarray, spacing_um: float = 7.6, plasma: float = 0.1
) -> None:
    """Dense lymphocytes, with some plasma cells."""
    canvas.clear(mask)
    canvas.paint(
        mask,
        soft_um=4,
        eosin=0.16 + 0.03 * canvas.noise(5, 2),
        hematoxylin=canvas.basophilia * (0.1 + 0.03 * canvas.noise(4, 2)),
    )
    if plasma > 0:
        area = float(mask.sum()) * canvas.mpp**2
        canvas.place(mask, "plasma_cell", 12, limit=int(plasma * area / 80))
    canvas.place(mask, "lymphocyte", spacing_um)


def infiltrate(canvas: Canvas, mask: np.ndarray, kind: str, per_mm2: float) -> int:
    """Scatter single inflammatory cells; how many were placed."""
    area_mm2 = float(mask.sum()) * canvas.mpp**2 / 1e6
    count = int(canvas.rng.poisson(min(per_mm2 * area_mm2, 20_000)))
    return canvas.place(mask, kind, 8.0, limit=count) if count else 0


def fat(canvas: Canvas, mask: np.ndarray, size_um: float = 62.0) -> None:
    """Adipose tissue: large empty cells with thin walls and few flat nuclei."""
    canvas.clear(mask)
    step = canvas.px(size_um)
    height, width = canvas.shape
    ys, xs = np.mgrid[-step : height + step : step * 0.87, -step : width + step : step]
    xs = xs + (np.arange(len(xs))[:, None] % 2) * step / 2
    xs = (xs + canvas.rng.normal(0, 0.2 * step, xs.shape)).ravel()
    ys = (ys + canvas.rng.normal(0, 0.2 * step, ys.shape)).ravel()
    big = 3  # the walls are drawn as curves between cells of a warped Voronoi diagram
    cells = warped_cells(canvas, xs, ys, step * 0.1)
    wall = fields.borders(cells)
    away = cv2.distanceTransform((~wall).astype(np.uint8), cv2.DIST_L2, big) * np.float32(
        canvas.mpp
    )
    width_um = canvas.uniform(0.7, 1.6)
    thick = width_um * (1 + 0.5 * np.clip(canvas.noise(40, 2), -1.4, 2))
    line = np.exp(-((away / np.maximum(thick, 0.3)) ** 2))
    # Cells round off where three meet: there the wall widens to a little triangle.
    fill = fields.blur(wall.astype(np.float32), canvas.px(3.0)) * np.float32(3.0 / canvas.mpp)
    line = np.clip(line + 0.25 * np.clip(fill - 1.1, 0, 2), 0, 1.4)
    canvas.paint(mask, soft_um=1.5, eosin=0.34 * line + 0.01, hematoxylin=0.05 * line)
    canvas.mark("fat", mask)
    near = mask & (away < 1.2)
    spots = np.flatnonzero(near & (canvas.taken == 0))
    count = min(len(spots), int(mask.sum() * canvas.mpp**2 / 1800) + 1)
    gy, gx = np.gradient(fields.blur(away, canvas.px(1.5)))
    for spot in canvas.rng.choice(spots, count, replace=False).tolist() if count else []:
        y, x = divmod(spot, width)
        along = float(np.arctan2(gy[y, x], gx[y, x])) + np.pi / 2
        canvas.put("adipocyte", x, y, along, 4)


def warped_cells(canvas: Canvas, xs: np.ndarray, ys: np.ndarray, amount_px: float) -> np.ndarray:
    """Voronoi cells with bent borders, int32 (H, W)."""
    height, width = canvas.shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    cells = fields.nearest(canvas.shape, xs, ys).astype(np.float32)
    scale = max(amount_px * 2.5, 4.0)
    dx = fields.smooth(canvas.rng, canvas.shape, scale) * np.float32(amount_px * 0.6)
    dy = fields.smooth(canvas.rng, canvas.shape, scale) * np.float32(amount_px * 0.6)
    bent = cv2.remap(cells, x + dx, y + dy, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
    return bent.astype(np.int32)


def necrosis(canvas: Canvas, mask: np.ndarray) -> None:
    """Necrosis: smudged pink granular material, ghosts of cells, nuclear dust."""
    canvas.clear(mask)
    grain = canvas.noise(3.0, 3)
    slow = canvas.noise(35, 2)
    canvas.paint(
        mask,
        soft_um=8,
        eosin=np.maximum(0.4 * (1 + 0.28 * grain + 0.2 * slow), 0.05),
        hematoxylin=np.maximum(0.08 + 0.07 * canvas.noise(6, 3), 0),
    )
    canvas.mark("necrosis", mask)
    inner = mask & (fields.distance(mask) * canvas.mpp > 4)
    area = float(inner.sum()) * canvas.mpp**2
    canvas.place(inner, "ghost", 13, limit=int(area / canvas.uniform(400, 1500)))
    canvas.place(inner, "debris", 4, limit=int(area / canvas.uniform(120, 900)))
    infiltrate(canvas, inner, "neutrophil", canvas.uniform(0, 500))


def mucin(canvas: Canvas, mask: np.ndarray) -> None:
    """Mucin: pale grey-blue pools with thin strands."""
    canvas.clear(mask)
    strand = np.exp(-((canvas.noise(18, 3) / 0.22) ** 2))
    veil = canvas.noise(30, 3)
    canvas.paint(
        mask,
        soft_um=2.5,
        hematoxylin=np.maximum(0.07 + 0.05 * veil + 0.07 * strand, 0),
        eosin=np.maximum(0.03 + 0.015 * veil + 0.03 * strand, 0),
    )
    canvas.mark("mucin", mask)


def red_cells(canvas: Canvas, mask: np.ndarray, packing: float = 0.8) -> None:
    """Fill a region with red cells, discs of 6 to 7.5 um.

    Args:
        canvas: what is painted.
        mask: bool (H, W), where their centres lie.
        packing: share of the region they cover, about.
    """
    radius = canvas.px(3.3)
    spots = np.flatnonzero(mask)
    if not len(spots):
        return
    taken = np.zeros(canvas.shape, np.uint8)
    labels = canvas.label("red_blood_cell")
    number = int(labels.max())
    tone = [0.0] * (number + 1)
    tries = min(len(spots), int(10 * len(spots) / (np.pi * radius**2)) + 10)
    goal = int(packing * len(spots) / (2.6 * radius**2)) + 1
    here = np.zeros(canvas.shape, np.int32)
    for spot in canvas.rng.choice(spots, tries, replace=False).tolist():
        y, x = divmod(spot, canvas.shape[1])
        if taken[y, x]:
            continue
        cv2.circle(taken, (x, y), max(round(radius * 1.55), 1), (1,), -1)
        number += 1
        tone.append(float(canvas.uniform(0.75, 1.15)))
        axes = radius * canvas.rng.uniform(0.72, 1.12, 2)
        cv2.ellipse(
            here,
            (round(x * 16), round(y * 16)),
            (max(round(axes[0] * 16), 8), max(round(axes[1] * 16), 8)),
            canvas.uniform(0, 180), 0, 360, (number,), -1, shift=4,
        )  # fmt: skip
        goal -= 1
        if goal <= 0:
            break
    depth = fields.distance((here > 0) & ~fields.borders(here)) * np.float32(canvas.mpp)
    disc = fields.blur((here > 0).astype(np.float32), canvas.px(0.25))
    # Biconcave: paler in the middle.
    shade = 1 - 0.25 * np.exp(-(((depth - 3.0) / 1.1) ** 2))
    tones = np.asarray(tone, np.float32)[np.minimum(here, len(tone) - 1)]
    canvas.dye["eosin"] *= 1 - 0.85 * disc
    canvas.dye["hematoxylin"] *= 1 - 0.7 * disc
    canvas.add("blood", 0.46 * disc * shade * np.where(here > 0, tones, 1))
    labels[here > 0] = here[here > 0]
    canvas.taken |= taken


def keratin(canvas: Canvas, mask: np.ndarray, centre: tuple[float, float] | None = None) -> None:
    """Keratin: bright laminated eosinophilic layers, concentric around a centre if one is given."""
    canvas.clear(mask)
    if centre is None:
        lamella = canvas.fibre
    else:
        height, width = canvas.shape
        y, x = np.mgrid[:height, :width].astype(np.float32)
        radius = np.hypot(x - centre[0], y - centre[1]) + canvas.px(5) * canvas.noise(22, 2)
        lamella = np.sin(radius / np.float32(canvas.px(1.0))) + 0.6 * canvas.noise(3, 2)
    flake = canvas.noise(9, 2)
    canvas.paint(
        mask,
        soft_um=1.5,
        eosin=np.maximum(0.66 * (1 + 0.16 * lamella + 0.15 * flake), 0.05),
        hematoxylin=0.03,
        blood=0.08,
    )
    canvas.mark("keratin", mask)


def glass(canvas: Canvas, mask: np.ndarray) -> None:
    """Empty slide."""
    canvas.clear(mask)
    canvas.paint(mask, soft_um=1.0)
    canvas.taken[mask] = 1
