"""What many organs have in common: stroma, inflammation, capillaries, solid tumour, bleeding."""

from __future__ import annotations

import cv2
import numpy as np

from miner.demo import contours, fields, tissue
from miner.demo.canvas import Canvas
from miner.demo.vessels import vessels


def ground(canvas: Canvas, density: float | None = None, loose: float | None = None) -> np.ndarray:
    """Fill the tile with fibrous stroma; the whole tile as a mask."""
    everything = np.ones(canvas.shape, bool)
    tissue.stroma(
        canvas,
        everything,
        density=canvas.uniform(0.3, 0.5) if density is None else density,
        loose=canvas.uniform(0.1, 0.75) if loose is None else loose,
        spacing_um=canvas.uniform(16, 30),
        kind="plump_fibroblast" if canvas.chance(0.3) else "fibroblast",
    )
    return everything


def rest(canvas: Canvas) -> np.ndarray:
    """What is stroma by now, bool (H, W)."""
    return canvas.label("stroma") > 0


def inflame(canvas: Canvas, mask: np.ndarray, strong: float) -> None:
    """Lymphocytes, plasma cells, some eosinophils and macrophages, in clouds and singly."""
    cloud = mask & (canvas.noise(45, 2) > 0.6)
    tissue.infiltrate(canvas, cloud, "lymphocyte", 5200 * strong * canvas.uniform(0.3, 1))
    tissue.infiltrate(canvas, mask, "lymphocyte", 500 * strong)
    tissue.infiltrate(canvas, mask, "plasma_cell", 700 * strong * canvas.uniform(0, 1))
    if canvas.chance(0.35):
        tissue.infiltrate(canvas, mask, "eosinophil", 300 * strong)
    if canvas.chance(0.35):
        tissue.infiltrate(canvas, mask, "neutrophil", 900 * strong)
    if canvas.chance(0.3):
        tissue.infiltrate(canvas, mask, "macrophage", 300 * strong)


def capillaries(canvas: Canvas, mask: np.ndarray, per_mm2: float = 150.0) -> None:
    """Small vessels, some of them with red cells."""
    area_mm2 = float(mask.sum()) * canvas.mpp**2 / 1e6
    count = int(canvas.rng.poisson(min(per_mm2 * area_mm2 * canvas.uniform(0, 1.6), 60)))
    if not count:
        return
    spots = contours.packed(canvas, mask, (4, 11), 1.6, count)
    if spots:
        vessels(canvas, spots, 2.0, max(canvas.uniform(-0.8, 0.9), 0))


def solid_tumor(canvas: Canvas, mask: np.ndarray, kind: str | None = None) -> None:
    """Cohesive tumour cells with mitoses and apoptotic bodies."""
    kind = kind or str(canvas.rng.choice(["tumor", "tumor", "tumor_dark", "tumor_small"]))
    spacing = {"tumor": 12.0, "tumor_dark": 10.5, "tumor_small": 9.0}.get(kind, 11.0)
    canvas.facts["nuclei"] = kind
    # Mitoses and giant nuclei first: they find room.
    area_mm2 = float(mask.sum()) * canvas.mpp**2 / 1e6
    tissue.sheet(
        canvas,
        mask,
        kind,
        spacing * canvas.uniform(0.88, 1.25),
        eosin=canvas.uniform(0.18, 0.38),
        hematoxylin=canvas.uniform(0.08, 0.24),
        membrane=canvas.uniform(-0.05, 0.1),
    )
    canvas.mark("tumor", mask)
    swap = canvas.uniform(0, 0.04)
    for nucleus in canvas.nuclei:
        row = min(max(round(nucleus.y), 0), canvas.shape[0] - 1)
        column = min(max(round(nucleus.x), 0), canvas.shape[1] - 1)
        if nucleus.kind == kind and mask[row, column] and canvas.rng.random() < swap:
            nucleus.kind = str(canvas.rng.choice(["mitosis", "apoptotic", "giant"]))
    tissue.infiltrate(
        canvas, mask, "lymphocyte", min(150 * canvas.uniform(0, 2), 9 / max(area_mm2, 1e-3))
    )


def nests(canvas: Canvas, fraction: float) -> None:
    """Solid tumour nests or cords of a random size."""
    scale = canvas.uniform(18, 90)
    solid_tumor(canvas, canvas.blob(fraction, scale))


def pigment(canvas: Canvas, mask: np.ndarray) -> None:
    """Brown to black granules (haemosiderin, melanin, anthracosis)."""
    grain = (canvas.noise(1.8, 2) > 1.5) & (canvas.noise(20, 2) > 0.5) & mask
    canvas.add("pigment", 0.9 * fields.blur(grain.astype(np.float32), canvas.px(0.3)))
    if grain.any():
        canvas.mark("pigment", cv2.dilate(grain.astype(np.uint8), np.ones((2, 2), np.uint8)) > 0)


def bleed(canvas: Canvas, mask: np.ndarray) -> None:
    """Haemorrhage: red cells without a vessel."""
    canvas.paint(mask, soft_um=5, eosin=0.12, blood=0.06)
    canvas.clear(mask)
    tissue.red_cells(canvas, mask, canvas.uniform(0.6, 1.0))
    canvas.mark("hemorrhage", mask)
