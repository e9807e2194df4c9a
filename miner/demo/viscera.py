"""Kidney, liver and lung."""

from __future__ import annotations

import cv2
import numpy as np

from miner.demo import contours, fields, tissue
from miner.demo.canvas import Canvas
from miner.demo.glands import Wall, glands
from miner.demo.nuclei import fill
from miner.demo.parts import bleed, capillaries, ground, inflame, nests, pigment, rest
from miner.demo.vessels import vessels


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
    curves = contours.crowded(
        canvas, canvas.uniform(44, 60), canvas.uniform(1, 7), canvas.uniform(1, 1.8)
    )
    curves = contours.within(canvas, curves, free)
    order = canvas.rng.permutation(len(curves))
    cut = int(canvas.uniform(0.3, 0.8) * len(curves))
    glands(canvas, [curves[i] for i in order[:cut]], proximal)
    glands(canvas, [curves[i] for i in order[cut:]], distal)
    if canvas.chance(0.3):
        canvas.facts["finding"] = "interstitial inflammation"
        inflame(canvas, rest(canvas), 2.0)
    capillaries(canvas, rest(canvas), 90.0)


def glomeruli(canvas: Canvas) -> np.ndarray:
    """Glomeruli: a lobulated tuft in Bowman's space; their area, bool (H, W)."""
    everything = np.ones(canvas.shape, bool)
    circles = contours.packed(canvas, everything, (65, 105), 1.6, 3)
    area = np.zeros(canvas.shape, np.int32)
    tuft = np.zeros(canvas.shape, np.int32)
    for number, (x, y, radius) in enumerate(circles, start=1):
        curve = contours.ring(canvas, radius, canvas.uniform(1, 1.2), 0.05, canvas.uniform(0, 3))
        fill(area, contours.moved(curve, x, y), number)
        lobes = contours.ring(canvas, radius * canvas.uniform(0.78, 0.9), 1.0, 0.09, 0.0)
        shift = 0.06 * radius * canvas.rng.standard_normal(2)
        fill(tuft, contours.moved(lobes, x + shift[0], y + shift[1]), number)
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
    canvas.join("glomerulus", area)
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
    canvas.join("hepatocyte", cells)
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
        drops = contours.packed(canvas, everything & ~sinus, (3, 16), 1.1)
        droplets = np.zeros(canvas.shape, np.int32)
        for number, (x, y, radius) in enumerate(drops, start=1):
            if canvas.chance(0.7):
                cv2.circle(droplets, (round(x), round(y)), round(radius), (number,), -1)
        hole = droplets > 0
        canvas.clear(hole)
        canvas.paint(hole, soft_um=0.5, eosin=0.01)
        canvas.join("lipid_droplet", droplets)
    if canvas.chance(0.45):
        portal = canvas.blob(canvas.uniform(0.12, 0.3), 100)
        tissue.stroma(canvas, portal, 0.45, 0.3, 20)
        duct = Wall("epithelial", 7, 6, base=3.5, eosin=0.25, hematoxylin=0.12)
        inner = portal & (fields.distance(portal) * canvas.mpp > 14)
        spots = contours.packed(canvas, inner, (11, 18), 1.4, 3)
        glands(canvas, contours.rings(canvas, spots, (1.0, 1.4), 0.06), duct)
        wide = contours.packed(canvas, inner & rest(canvas), (12, 30), 1.4, 2)
        vessels(canvas, wide, canvas.uniform(2, 10), canvas.uniform(0, 1))
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
