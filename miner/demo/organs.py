"""Tissue architecture per organ: each function paints one kind of field onto a canvas.

Every function sets `facts["finding"]`: normal, inflamed or a diagnosis that a caption may name.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from miner.demo import fields, glands, tissue
from miner.demo.canvas import Canvas
from miner.demo.glands import Wall


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
    spots = glands.packed(canvas, mask, (4, 11), 1.6, count)
    if spots:
        glands.vessels(canvas, spots, 2.0, max(canvas.uniform(-0.8, 0.9), 0))


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


def colon(canvas: Canvas) -> None:
    """Crypts in lamina propria; adenoma; adenocarcinoma, sometimes mucinous."""
    everything = ground(canvas, loose=canvas.uniform(0.4, 0.8))
    state = str(canvas.rng.choice(["normal", "adenoma", "carcinoma"], p=[0.35, 0.25, 0.4]))
    goblet = canvas.uniform(0.55, 0.95)
    if state == "normal":
        canvas.facts["finding"] = "normal"
        wall = Wall("basal", 21, 5.6, base=4.0, goblet=goblet, eosin=0.2, hematoxylin=0.12)
        curves = glands.crowded(
            canvas, canvas.uniform(75, 105), canvas.uniform(10, 30), canvas.uniform(1, 1.5)
        )
        glands.glands(canvas, curves, wall)
        inflame(canvas, rest(canvas), canvas.uniform(0.4, 1.2))
    elif state == "adenoma":
        canvas.facts["finding"] = "tubular adenoma"
        wall = Wall(
            "columnar", 27, 4.6, rows=2, base=5.5, fold=0.2, folds=int(canvas.rng.integers(5, 10)),
            goblet=canvas.uniform(0, 0.25), eosin=0.24, hematoxylin=0.2,
        )  # fmt: skip
        curves = glands.crowded(
            canvas, canvas.uniform(90, 150), canvas.uniform(8, 22), canvas.uniform(1, 2.6)
        )
        glands.glands(canvas, curves, wall)
        inflame(canvas, rest(canvas), canvas.uniform(0.2, 0.9))
    else:
        canvas.facts["finding"] = "adenocarcinoma"
        wall = Wall(
            "tumor_columnar", 30, 5.6, rows=int(canvas.rng.integers(1, 3)), base=6.5,
            fold=canvas.uniform(0.15, 0.5), folds=int(canvas.rng.integers(4, 9)),
            eosin=0.28, hematoxylin=0.2,
            content=str(canvas.rng.choice(["empty", "debris", "mucin", "secretion"])),
        )  # fmt: skip
        if canvas.chance(0.4):
            curves = glands.crowded(
                canvas, canvas.uniform(80, 150), canvas.uniform(3, 20), canvas.uniform(1, 2)
            )
        else:
            spots = glands.packed(canvas, everything, (28, 110), canvas.uniform(0.95, 1.3))
            curves = glands.rings(canvas, spots, (1.0, 2.2), 0.2)
        glands.glands(canvas, curves, wall)
        if canvas.chance(0.35):
            pool = rest(canvas) & canvas.blob(canvas.uniform(0.2, 0.5), 90)
            tissue.mucin(canvas, pool)
        if canvas.chance(0.35):
            tissue.necrosis(canvas, canvas.blob(canvas.uniform(0.08, 0.25), 90))
        inflame(canvas, rest(canvas), canvas.uniform(0.1, 0.9))
    capillaries(canvas, rest(canvas))


def breast(canvas: Canvas) -> None:
    """Ducts and lobules in collagen and fat; invasive carcinoma in nests or cords; TILs."""
    everything = ground(canvas, density=canvas.uniform(0.35, 0.5), loose=canvas.uniform(0.05, 0.45))
    if canvas.chance(0.45):
        tissue.fat(canvas, canvas.blob(canvas.uniform(0.15, 0.6), 130), canvas.uniform(45, 75))
    state = str(canvas.rng.choice(["normal", "in situ", "invasive"], p=[0.25, 0.2, 0.55]))
    if state == "normal":
        canvas.facts["finding"] = "normal"
        wall = Wall("epithelial", 11, 6.0, base=4.5, outer="basal", eosin=0.22, hematoxylin=0.16,
                    content=str(canvas.rng.choice(["empty", "secretion"])))  # fmt: skip
        lobule = canvas.blob(0.4, 120)
        spots = glands.packed(canvas, lobule, (13, 26), 1.1)
        glands.glands(canvas, glands.rings(canvas, spots, (1.0, 1.6), 0.12), wall)
        big = glands.packed(canvas, everything & ~lobule, (35, 60), 1.5, 2)
        glands.glands(canvas, glands.rings(canvas, big, (1.0, 1.6), 0.12), wall)
    elif state == "in situ":
        canvas.facts["finding"] = "ductal carcinoma in situ"
        wall = Wall("tumor", 60, 9.5, rows=5, base=6.0, fold=0.12, eosin=0.28, hematoxylin=0.16,
                    outer="basal", content=str(canvas.rng.choice(["debris", "empty"])))  # fmt: skip
        spots = glands.packed(canvas, everything, (60, 110), 1.15, 6)
        glands.glands(canvas, glands.rings(canvas, spots, (1.0, 1.5), 0.1), wall)
    else:
        canvas.facts["finding"] = "invasive ductal carcinoma"
        nests(canvas, canvas.uniform(0.3, 0.75))
        if canvas.chance(0.25):
            tissue.necrosis(canvas, canvas.blob(canvas.uniform(0.08, 0.3), 100))
    if canvas.chance(0.3):
        tissue.lymphoid(canvas, rest(canvas) & canvas.blob(canvas.uniform(0.05, 0.25), 70))
    inflame(canvas, rest(canvas), canvas.uniform(0, 0.8))
    capillaries(canvas, rest(canvas))


def nests(canvas: Canvas, fraction: float) -> None:
    """Solid tumour nests or cords of a random size."""
    scale = canvas.uniform(18, 90)
    solid_tumor(canvas, canvas.blob(fraction, scale))


def prostate(canvas: Canvas) -> None:
    """Acini with folded walls in fibromuscular stroma; small crowded glands of carcinoma."""
    everything = ground(canvas, density=0.48, loose=canvas.uniform(0, 0.3))
    tissue.muscle(canvas, canvas.blob(0.35, 60))
    canvas.mark("stroma", everything)
    if canvas.chance(0.5):
        canvas.facts["finding"] = "normal"
        wall = Wall("epithelial", 21, 6.2, base=5.5, fold=0.5, eosin=0.16, hematoxylin=0.1,
                    folds=int(canvas.rng.integers(6, 12)), outer="basal",
                    content=str(canvas.rng.choice(["empty", "secretion"])))  # fmt: skip
        spots = glands.packed(canvas, everything, (30, 78), 1.08)
        glands.glands(canvas, glands.rings(canvas, spots, (1.0, 1.8), 0.16), wall)
    else:
        canvas.facts["finding"] = "prostatic adenocarcinoma"
        wall = Wall("tumor_small", 14, 7.0, base=5.5, fold=0.1, eosin=0.22, hematoxylin=0.14,
                    content=str(canvas.rng.choice(["empty", "secretion", "mucin"])))  # fmt: skip
        spots = glands.packed(canvas, everything, (18, 36), canvas.uniform(1.0, 1.4))
        glands.glands(canvas, glands.rings(canvas, spots, (1.0, 1.7), 0.14), wall)
    inflame(canvas, rest(canvas), canvas.uniform(0, 0.3))
    capillaries(canvas, rest(canvas))


def kidney(canvas: Canvas) -> None:
    """Cortex with tubules and a glomerulus; clear cell carcinoma."""
    everything = ground(canvas, density=0.3, loose=0.5)
    if canvas.chance(0.35):
        canvas.facts["finding"] = "clear cell renal cell carcinoma"
        tissue.sheet(
            canvas, everything, "tumor_small", canvas.uniform(13, 18), 0.3, 0.1, 0.3,
            clear=canvas.uniform(0.75, 0.95),
        )  # fmt: skip
        canvas.mark("tumor", everything)
        capillaries(canvas, everything, 500.0)
        if canvas.chance(0.4):
            bleed(canvas, canvas.blob(0.15, 60))
        return
    canvas.facts["finding"] = "normal"
    proximal = Wall("tubular", 14, 8.0, base=6.0, fold=0.15, eosin=0.4, hematoxylin=0.1,
                    gland="tubule", lumen="")  # fmt: skip
    distal = Wall(
        "tubular", 9, 6.5, base=4.0, eosin=0.24, hematoxylin=0.1, gland="tubule", lumen=""
    )
    free = everything
    if canvas.chance(0.65):
        free = ~glomeruli(canvas)
    curves = glands.crowded(
        canvas, canvas.uniform(44, 60), canvas.uniform(1, 7), canvas.uniform(1, 1.8)
    )
    curves = glands.within(canvas, curves, free)
    order = canvas.rng.permutation(len(curves))
    cut = int(canvas.uniform(0.3, 0.8) * len(curves))
    glands.glands(canvas, [curves[i] for i in order[:cut]], proximal)
    glands.glands(canvas, [curves[i] for i in order[cut:]], distal)
    if canvas.chance(0.3):
        canvas.facts["finding"] = "interstitial inflammation"
        inflame(canvas, rest(canvas), 2.0)
    capillaries(canvas, rest(canvas), 90.0)


def moved(curve: np.ndarray, x: float, y: float) -> np.ndarray:
    """A curve around the origin, around another point, float (N, 2)."""
    return curve + np.array([x, y])


def glomeruli(canvas: Canvas) -> np.ndarray:
    """Glomeruli: a lobulated tuft in Bowman's space; their area, bool (H, W)."""
    everything = np.ones(canvas.shape, bool)
    circles = glands.packed(canvas, everything, (65, 105), 1.6, 3)
    area = np.zeros(canvas.shape, np.int32)
    tuft = np.zeros(canvas.shape, np.int32)
    for number, (x, y, radius) in enumerate(circles, start=1):
        curve = glands.ring(canvas, radius, canvas.uniform(1, 1.2), 0.05, canvas.uniform(0, 3))
        glands.fill(area, moved(curve, x, y), number)
        lobes = glands.ring(canvas, radius * canvas.uniform(0.78, 0.9), 1.0, 0.09, 0.0)
        shift = 0.06 * radius * canvas.rng.standard_normal(2)
        glands.fill(tuft, moved(lobes, x + shift[0], y + shift[1]), number)
    tuft = np.where(area == tuft, tuft, 0)
    canvas.clear(area > 0)
    canvas.paint(area > 0, soft_um=0.8, eosin=0.015)
    loops = canvas.noise(11, 2)
    solid = (tuft > 0) & (loops < 0.95)
    canvas.paint(
        solid, soft_um=0.8, eosin=np.maximum(0.3 * (1 + 0.4 * loops), 0.05), hematoxylin=0.09
    )
    canvas.place(solid, "tubular", 8.2)
    if canvas.chance(0.7):
        tissue.red_cells(canvas, (tuft > 0) & (loops >= 1.1), 0.4)
    rim = cv2.morphologyEx(
        (area > 0).astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)
    )
    canvas.add("eosin", 0.5 * fields.blur(rim.astype(np.float32), canvas.px(0.8)))
    edge = (area > 0) & (fields.distance(area > 0) * canvas.mpp < 2.5)
    canvas.place(edge, "endothelial", 16)
    glands.join(canvas, "glomerulus", area)
    canvas.taken[area > 0] = 1
    return area > 0


def liver(canvas: Canvas) -> None:
    """Cords of hepatocytes between sinusoids, portal fields; steatosis; hepatitis."""
    everything = np.ones(canvas.shape, bool)
    canvas.facts["finding"] = "normal"
    cells = tissue.sheet(
        canvas, everything, "hepatocyte", canvas.uniform(19, 23),
        eosin=canvas.uniform(0.34, 0.5), hematoxylin=canvas.uniform(0.06, 0.16), membrane=0.12,
    )  # fmt: skip
    glands.join(canvas, "hepatocyte", cells)
    gap = np.abs(canvas.noise(24, 2)) < canvas.uniform(0.06, 0.16)
    sinus = fields.borders(cells) | gap
    sinus = cv2.dilate(sinus.astype(np.uint8), np.ones((2, 2), np.uint8)) > 0
    sinus &= canvas.noise(16, 2) > -0.1
    canvas.paint(sinus, soft_um=0.8, eosin=0.05)
    canvas.labels["hepatocyte"][sinus] = 0
    canvas.labels["epithelium"][sinus] = 0
    canvas.place(sinus, "endothelial", 17)
    if canvas.chance(0.5):
        tissue.red_cells(canvas, sinus, canvas.uniform(0.05, 0.4))
    if canvas.chance(0.35):
        canvas.facts["finding"] = "steatosis"
        drops = glands.packed(canvas, everything & ~sinus, (3, 16), 1.1)
        droplets = np.zeros(canvas.shape, np.int32)
        for number, (x, y, radius) in enumerate(drops, start=1):
            if canvas.chance(0.7):
                cv2.circle(droplets, (round(x), round(y)), round(radius), (number,), -1)
        hole = droplets > 0
        canvas.clear(hole)
        canvas.paint(hole, soft_um=0.5, eosin=0.01)
        glands.join(canvas, "lipid_droplet", droplets)
    if canvas.chance(0.45):
        portal = canvas.blob(canvas.uniform(0.12, 0.3), 100)
        tissue.stroma(canvas, portal, 0.45, 0.3, 20)
        duct = Wall("epithelial", 7, 6, base=3.5, eosin=0.25, hematoxylin=0.12)
        inner = portal & (fields.distance(portal) * canvas.mpp > 14)
        spots = glands.packed(canvas, inner, (11, 18), 1.4, 3)
        glands.glands(canvas, glands.rings(canvas, spots, (1.0, 1.4), 0.06), duct)
        wide = glands.packed(canvas, inner & rest(canvas), (12, 30), 1.4, 2)
        glands.vessels(canvas, wide, canvas.uniform(2, 10), canvas.uniform(0, 1))
        if canvas.chance(0.5):
            canvas.facts["finding"] = "portal inflammation"
            inflame(canvas, rest(canvas), canvas.uniform(1, 2.5))


def lung(canvas: Canvas) -> None:
    """Alveoli with thin septa; carcinoma with necrosis; pneumonia."""
    ground(canvas, density=0.34, loose=0.2)
    state = str(canvas.rng.choice(["normal", "pneumonia", "carcinoma"], p=[0.35, 0.2, 0.45]))
    if state == "carcinoma":
        canvas.facts["finding"] = "non-small cell lung carcinoma"
        nests(canvas, canvas.uniform(0.4, 0.8))
        if canvas.chance(0.6):
            tissue.necrosis(canvas, canvas.blob(canvas.uniform(0.1, 0.35), 110))
        inflame(canvas, rest(canvas), canvas.uniform(0, 1))
        if canvas.chance(0.4):
            pigment(canvas, rest(canvas))
        return
    canvas.facts["finding"] = "normal" if state == "normal" else "acute pneumonia"
    step = canvas.px(canvas.uniform(90, 150))
    ys, xs = np.mgrid[-step : canvas.shape[0] + step : step, -step : canvas.shape[1] + step : step]
    xs = (xs + canvas.rng.normal(0, 0.28 * step, xs.shape)).ravel()
    ys = (ys + canvas.rng.normal(0, 0.28 * step, ys.shape)).ravel()
    cells = tissue.warped_cells(canvas, xs, ys, step * 0.16)
    away = fields.distance(~fields.borders(cells)) * canvas.mpp
    septum = away < canvas.uniform(3, 6) * (1 + 0.4 * canvas.noise(30, 2))
    air = ~septum
    canvas.clear(air)
    canvas.paint(air, soft_um=1.0, eosin=0.012)
    canvas.label("alveolus")[air] = 0
    canvas.place(septum, "endothelial", 9)
    canvas.place(septum, "tubular", 11)
    tissue.red_cells(canvas, septum & (canvas.noise(15, 2) > 0.3), 0.7)
    hollow, _ = cv2.connectedComponents(air.astype(np.uint8), connectivity=4)
    objects = cv2.connectedComponents(air.astype(np.uint8), connectivity=4)[1] if hollow else None
    if objects is not None:
        canvas.labels["alveolus"] = objects.astype(np.int32)
    if state == "pneumonia":
        filled = air & canvas.blob(0.75, 80)
        canvas.paint(filled, soft_um=3, eosin=np.maximum(0.16 + 0.07 * canvas.noise(7, 3), 0))
        tissue.infiltrate(canvas, filled, "neutrophil", canvas.uniform(1200, 4500))
        tissue.infiltrate(canvas, filled, "macrophage", canvas.uniform(50, 400))
    else:
        tissue.infiltrate(canvas, air, "macrophage", canvas.uniform(0, 130))


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


def squamous(canvas: Canvas) -> None:
    """Stratified squamous epithelium with keratin over stroma; carcinoma with pearls."""
    ground(canvas)
    if canvas.chance(0.5):
        canvas.facts["finding"] = "squamous cell carcinoma"
        area = canvas.blob(canvas.uniform(0.4, 0.75), canvas.uniform(50, 110))
        tissue.sheet(canvas, area, "tumor", canvas.uniform(12, 16), 0.4, 0.12, 0.12)
        canvas.mark("tumor", area)
        inside = area & (fields.distance(area) * canvas.mpp > 22)
        for x, y, radius in glands.packed(canvas, inside, (14, 34), 1.6, 3):
            pearl = np.zeros(canvas.shape, np.int32)
            curve = glands.ring(canvas, radius, canvas.uniform(1, 1.4), 0.06, canvas.uniform(0, 3))
            glands.fill(pearl, moved(curve, x, y), 1)
            tissue.keratin(canvas, pearl > 0, (x, y))
        inflame(canvas, rest(canvas), canvas.uniform(0.3, 1.5))
        capillaries(canvas, rest(canvas))
        return
    canvas.facts["finding"] = "normal"
    height, width = canvas.shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    turn = canvas.uniform(0, 2 * np.pi)
    deep = ((x - width / 2) * np.cos(turn) + (y - height / 2) * np.sin(turn)) * canvas.mpp
    span = (abs(np.cos(turn)) * width + abs(np.sin(turn)) * height) * canvas.mpp
    top = -span / 2 + span * canvas.uniform(-0.1, 0.3) + 5 * canvas.noise(60, 2)
    thick = min(canvas.uniform(80, 220), 0.7 * span)
    pegs = thick + 0.14 * thick * canvas.noise(50, 2)
    level = (deep - top) / pegs  # 0 at the surface, 1 at the basement membrane
    horny = (level >= 0) & (level < 0.14)
    for low, high, kind, spacing, eosin, blue in (
        (0.14, 0.45, "squamous", 17.0, 0.36, 0.08),
        (0.45, 0.88, "squamous", 12.5, 0.32, 0.12),
        (0.88, 1.0, "basal", 7.5, 0.25, 0.2),
    ):
        tissue.sheet(canvas, (level >= low) & (level < high), kind, spacing, eosin, blue, 0.1)
    if canvas.chance(0.6):
        tissue.keratin(canvas, horny)
    else:
        tissue.sheet(canvas, horny, "squamous", 24, 0.36, 0.06, 0.08)
    tissue.glass(canvas, level < 0)
    inflame(canvas, rest(canvas), canvas.uniform(0.1, 0.9))
    capillaries(canvas, rest(canvas))


def lymph_node(canvas: Canvas) -> None:
    """Lymphocytes with follicles; metastasis."""
    everything = np.ones(canvas.shape, bool)
    canvas.facts["finding"] = "reactive lymph node"
    tissue.lymphoid(canvas, everything, canvas.uniform(7, 9), plasma=0.02)
    for x, y, radius in glands.packed(canvas, everything, (60, 130), 1.2, 3):
        centre = np.zeros(canvas.shape, np.int32)
        curve = glands.ring(canvas, radius, canvas.uniform(1, 1.3), 0.06, canvas.uniform(0, 3))
        glands.fill(centre, moved(curve, x, y), 1)
        germinal = centre > 0
        tissue.sheet(
            canvas, germinal, "centrocyte", 9.5, 0.2, 0.14, 0.0, entity="lymphoid_follicle"
        )
        tissue.infiltrate(canvas, germinal, "macrophage", 150)
    if canvas.chance(0.5):
        canvas.facts["finding"] = "metastatic carcinoma"
        area = canvas.blob(canvas.uniform(0.15, 0.6), 70)
        canvas.labels.get("lymphoid_follicle", np.zeros(canvas.shape, np.int32))[area] = 0
        solid_tumor(canvas, area)
    capillaries(canvas, everything, 90.0)


def thyroid(canvas: Canvas) -> None:
    """Follicles filled with colloid."""
    ground(canvas, density=0.34, loose=0.3)
    canvas.facts["finding"] = "normal"
    wall = Wall("tubular", 8, 6.2, base=3.8, eosin=0.24, hematoxylin=0.16, content="colloid",
                gland="thyroid_follicle", lumen="")  # fmt: skip
    curves = glands.crowded(canvas, canvas.uniform(55, 150), canvas.uniform(4, 25), 1.2)
    glands.glands(canvas, curves, wall)
    if canvas.chance(0.3):
        canvas.facts["finding"] = "lymphocytic thyroiditis"
        tissue.lymphoid(canvas, rest(canvas) & canvas.blob(0.5, 80))
    capillaries(canvas, rest(canvas))


def brain(canvas: Canvas) -> None:
    """Neuropil with glial cells; glioma with necrosis."""
    everything = np.ones(canvas.shape, bool)
    canvas.facts["finding"] = "normal"
    web = 0.26 * (1 + 0.3 * canvas.noise(2.5, 3) + 0.12 * canvas.noise(30, 2))
    canvas.paint(everything, eosin=np.maximum(web, 0.03), hematoxylin=0.05)
    if canvas.chance(0.6):
        canvas.facts["finding"] = "high-grade glioma"
        canvas.place(everything, "giant", 20, limit=int(canvas.rng.integers(0, 4)))
        kind = str(canvas.rng.choice(["tumor", "tumor_small"]))
        canvas.place(canvas.noise(50, 2) > -0.6, kind, canvas.uniform(11, 17))
        if canvas.chance(0.5):
            tissue.necrosis(canvas, canvas.blob(canvas.uniform(0.1, 0.3), 80))
    else:
        canvas.place(everything, "glial", canvas.uniform(18, 28))
    capillaries(canvas, everything, 90.0)


def soft_tissue(canvas: Canvas) -> None:
    """Fat, muscle, dense collagen, vessels, bleeding, abscess."""
    ground(canvas)
    canvas.facts["finding"] = "normal"
    if canvas.chance(0.5):
        tissue.muscle(canvas, canvas.blob(canvas.uniform(0.2, 0.6), 120))
    if canvas.chance(0.6):
        tissue.fat(canvas, canvas.blob(canvas.uniform(0.25, 0.9), 150), canvas.uniform(45, 85))
    spots = glands.packed(canvas, rest(canvas), (20, 60), 1.5, 3)
    glands.vessels(canvas, spots, canvas.uniform(4, 18), canvas.uniform(0, 1))
    if canvas.chance(0.35):
        bleed(canvas, canvas.blob(canvas.uniform(0.1, 0.4), 70))
        canvas.facts["finding"] = "hemorrhage"
    if canvas.chance(0.25):
        canvas.facts["finding"] = "abscess"
        tissue.necrosis(canvas, canvas.blob(0.3, 80))
        tissue.infiltrate(canvas, canvas.label("necrosis") > 0, "neutrophil", 4000)
    inflame(canvas, rest(canvas), canvas.uniform(0, 0.6))


ORGANS: dict[str, Callable[[Canvas], None]] = {
    "colon": colon,
    "breast": breast,
    "prostate": prostate,
    "kidney": kidney,
    "liver": liver,
    "lung": lung,
    "skin": squamous,
    "oral mucosa": squamous,
    "lymph node": lymph_node,
    "thyroid": thyroid,
    "brain": brain,
    "soft tissue": soft_tissue,
}
