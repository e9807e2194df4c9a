"""Tissue architecture per organ: each function paints one kind of field onto a canvas.

Every function sets `facts["finding"]`: normal, inflamed or a diagnosis that a caption may name.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from miner.demo import contours, fields, tissue
from miner.demo.canvas import Canvas
from miner.demo.glandular import breast, colon, prostate, thyroid
from miner.demo.nuclei import fill
from miner.demo.parts import bleed, capillaries, ground, inflame, rest, solid_tumor
from miner.demo.vessels import vessels
from miner.demo.viscera import kidney, liver, lung


def squamous(canvas: Canvas) -> None:
    """Stratified squamous epithelium with keratin over stroma; carcinoma with pearls."""
    ground(canvas)
    if canvas.chance(0.5):
        canvas.facts["finding"] = "squamous cell carcinoma"
        area = canvas.blob(canvas.uniform(0.4, 0.75), canvas.uniform(50, 110))
        tissue.sheet(canvas, area, "tumor", canvas.uniform(12, 16), 0.4, 0.12, 0.12)
        canvas.mark("tumor", area)
        inside = area & (fields.distance(area) * canvas.mpp > 22)
        for x, y, radius in contours.packed(canvas, inside, (14, 34), 1.6, 3):
            pearl = np.zeros(canvas.shape, np.int32)
            curve = contours.ring(
                canvas, radius, canvas.uniform(1, 1.4), 0.06, canvas.uniform(0, 3)
            )
            fill(pearl, contours.moved(curve, x, y), 1)
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
    for x, y, radius in contours.packed(canvas, everything, (60, 130), 1.2, 3):
        centre = np.zeros(canvas.shape, np.int32)
        curve = contours.ring(canvas, radius, canvas.uniform(1, 1.3), 0.06, canvas.uniform(0, 3))
        fill(centre, contours.moved(curve, x, y), 1)
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
    spots = contours.packed(canvas, rest(canvas), (20, 60), 1.5, 3)
    vessels(canvas, spots, canvas.uniform(4, 18), canvas.uniform(0, 1))
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
