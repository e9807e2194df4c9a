"""Organs made of glands: colon, breast, prostate, thyroid."""

from __future__ import annotations

from miner.demo import contours, tissue
from miner.demo.canvas import Canvas
from miner.demo.glands import Wall, glands
from miner.demo.parts import capillaries, ground, inflame, nests, rest


def colon(canvas: Canvas) -> None:
    """Crypts in lamina propria; adenoma; adenocarcinoma, sometimes mucinous."""
    everything = ground(canvas, loose=canvas.uniform(0.4, 0.8))
    state = str(canvas.rng.choice(["normal", "adenoma", "carcinoma"], p=[0.35, 0.25, 0.4]))
    goblet = canvas.uniform(0.55, 0.95)
    if state == "normal":
        canvas.facts["finding"] = "normal"
        wall = Wall("basal", 21, 5.6, base=4.0, goblet=goblet, eosin=0.2, hematoxylin=0.12)
        curves = contours.crowded(
            canvas, canvas.uniform(75, 105), canvas.uniform(10, 30), canvas.uniform(1, 1.5)
        )
        glands(canvas, curves, wall)
        inflame(canvas, rest(canvas), canvas.uniform(0.4, 1.2))
    elif state == "adenoma":
        canvas.facts["finding"] = "tubular adenoma"
        wall = Wall(
            "columnar", 27, 4.6, rows=2, base=5.5, fold=0.2, folds=int(canvas.rng.integers(5, 10)),
            goblet=canvas.uniform(0, 0.25), eosin=0.24, hematoxylin=0.2,
        )  # fmt: skip
        curves = contours.crowded(
            canvas, canvas.uniform(90, 150), canvas.uniform(8, 22), canvas.uniform(1, 2.6)
        )
        glands(canvas, curves, wall)
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
            curves = contours.crowded(
                canvas, canvas.uniform(80, 150), canvas.uniform(3, 20), canvas.uniform(1, 2)
            )
        else:
            spots = contours.packed(canvas, everything, (28, 110), canvas.uniform(0.95, 1.3))
            curves = contours.rings(canvas, spots, (1.0, 2.2), 0.2)
        glands(canvas, curves, wall)
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
        spots = contours.packed(canvas, lobule, (13, 26), 1.1)
        glands(canvas, contours.rings(canvas, spots, (1.0, 1.6), 0.12), wall)
        big = contours.packed(canvas, everything & ~lobule, (35, 60), 1.5, 2)
        glands(canvas, contours.rings(canvas, big, (1.0, 1.6), 0.12), wall)
    elif state == "in situ":
        canvas.facts["finding"] = "ductal carcinoma in situ"
        wall = Wall("tumor", 60, 9.5, rows=5, base=6.0, fold=0.12, eosin=0.28, hematoxylin=0.16,
                    outer="basal", content=str(canvas.rng.choice(["debris", "empty"])))  # fmt: skip
        spots = contours.packed(canvas, everything, (60, 110), 1.15, 6)
        glands(canvas, contours.rings(canvas, spots, (1.0, 1.5), 0.1), wall)
    else:
        canvas.facts["finding"] = "invasive ductal carcinoma"
        nests(canvas, canvas.uniform(0.3, 0.75))
        if canvas.chance(0.25):
            tissue.necrosis(canvas, canvas.blob(canvas.uniform(0.08, 0.3), 100))
    if canvas.chance(0.3):
        tissue.lymphoid(canvas, rest(canvas) & canvas.blob(canvas.uniform(0.05, 0.25), 70))
    inflame(canvas, rest(canvas), canvas.uniform(0, 0.8))
    capillaries(canvas, rest(canvas))


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
        spots = contours.packed(canvas, everything, (30, 78), 1.08)
        glands(canvas, contours.rings(canvas, spots, (1.0, 1.8), 0.16), wall)
    else:
        canvas.facts["finding"] = "prostatic adenocarcinoma"
        wall = Wall("tumor_small", 14, 7.0, base=5.5, fold=0.1, eosin=0.22, hematoxylin=0.14,
                    content=str(canvas.rng.choice(["empty", "secretion", "mucin"])))  # fmt: skip
        spots = contours.packed(canvas, everything, (18, 36), canvas.uniform(1.0, 1.4))
        glands(canvas, contours.rings(canvas, spots, (1.0, 1.7), 0.14), wall)
    inflame(canvas, rest(canvas), canvas.uniform(0, 0.3))
    capillaries(canvas, rest(canvas))


def thyroid(canvas: Canvas) -> None:
    """Follicles filled with colloid."""
    ground(canvas, density=0.34, loose=0.3)
    canvas.facts["finding"] = "normal"
    wall = Wall("tubular", 8, 6.2, base=3.8, eosin=0.24, hematoxylin=0.16, content="colloid",
                gland="thyroid_follicle", lumen="")  # fmt: skip
    curves = contours.crowded(canvas, canvas.uniform(55, 150), canvas.uniform(4, 25), 1.2)
    glands(canvas, curves, wall)
    if canvas.chance(0.3):
        canvas.facts["finding"] = "lymphocytic thyroiditis"
        tissue.lymphoid(canvas, rest(canvas) & canvas.blob(0.5, 80))
    capillaries(canvas, rest(canvas))
