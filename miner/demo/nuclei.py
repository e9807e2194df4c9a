"""Nuclei: their kinds and how they are drawn."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

from miner.demo import fields
from miner.demo.canvas import Canvas, Nucleus


@dataclasses.dataclass(frozen=True)
class Kind:
    """How nuclei of a kind look; lengths in micrometres, densities in optical density.

    Attributes:
        entities: label maps it is drawn to, besides `nuclei`.
        length: long axis.
        aspect: long over short axis.
        spread: relative deviation of the size from nucleus to nucleus.
        rough: amplitude of the bumps of its outline, relative to the radius.
        density: mean haematoxylin.
        chromatin: relative contrast of the chromatin.
        grain: scale of the chromatin clumps.
        rim: extra density of the membrane, relative.
        nucleolus: probability of a visible nucleolus.
        lobes: number of lobes (neutrophils 2 to 4), 1 for a plain outline.
        along: whether it lies along the fibres.
        cell: diameter of the whole cell where its cytoplasm is drawn, else 0.
        cytoplasm: densities (haematoxylin, eosin) of that cytoplasm; negative clears.
        counted: whether it belongs to `nuclei`.
    """

    entities: tuple[str, ...] = ()
    length: float = 8.0
    aspect: float = 1.25
    spread: float = 0.12
    rough: float = 0.05
    density: float = 0.75
    chromatin: float = 0.25
    grain: float = 1.2
    rim: float = 0.3
    nucleolus: float = 0.2
    lobes: int = 1
    along: bool = False
    cell: float = 0.0
    cytoplasm: tuple[float, float] = (0.0, 0.0)
    counted: bool = True


EPITHELIAL = ("epithelial_nuclei",)
TUMOR = ("epithelial_nuclei", "tumor_cell")
STROMAL = ("stromal_nuclei",)

KINDS: dict[str, Kind] = {
    "epithelial": Kind(EPITHELIAL, 8.6, 1.4, 0.12, 0.04, 0.62, 0.25, 1.3, 0.35, 0.3),
    "columnar": Kind(EPITHELIAL, 10.5, 2.0, 0.12, 0.04, 0.68, 0.22, 1.2, 0.3, 0.15),
    "basal": Kind(EPITHELIAL, 8.0, 1.5, 0.12, 0.04, 0.8, 0.2, 1.2, 0.25, 0.1),
    "squamous": Kind(EPITHELIAL, 9.0, 1.3, 0.15, 0.05, 0.55, 0.3, 1.3, 0.35, 0.4),
    "hepatocyte": Kind(EPITHELIAL, 8.0, 1.08, 0.12, 0.03, 0.58, 0.28, 1.1, 0.4, 0.7),
    "tubular": Kind(EPITHELIAL, 6.8, 1.1, 0.1, 0.03, 0.65, 0.25, 1.1, 0.35, 0.25),
    "tumor": Kind(TUMOR, 11.5, 1.3, 0.22, 0.07, 0.62, 0.3, 1.6, 0.4, 0.6),
    "tumor_dark": Kind(TUMOR, 10.5, 1.4, 0.25, 0.08, 0.95, 0.3, 1.4, 0.2, 0.15),
    "tumor_columnar": Kind(TUMOR, 13.0, 2.1, 0.18, 0.06, 0.78, 0.3, 1.4, 0.3, 0.35),
    "tumor_small": Kind(TUMOR, 8.2, 1.2, 0.15, 0.06, 0.72, 0.3, 1.2, 0.3, 0.3),
    "giant": Kind(TUMOR, 19.0, 1.25, 0.25, 0.13, 0.85, 0.4, 2.2, 0.3, 0.8),
    "fibroblast": Kind(STROMAL, 13.0, 3.6, 0.25, 0.06, 0.72, 0.2, 1.2, 0.2, 0.05, along=True),
    "plump_fibroblast": Kind(STROMAL, 12.0, 2.0, 0.2, 0.05, 0.5, 0.3, 1.2, 0.4, 0.4, along=True),
    "muscle": Kind(STROMAL, 17.0, 4.6, 0.2, 0.03, 0.62, 0.2, 1.2, 0.25, 0.05, along=True),
    "endothelial": Kind(STROMAL, 10.0, 3.2, 0.2, 0.05, 0.78, 0.2, 1.1, 0.2, 0.0),
    "adipocyte": Kind(STROMAL, 9.0, 3.6, 0.2, 0.05, 0.8, 0.1, 1.0, 0.1, 0.0),
    "glial": Kind(STROMAL, 7.2, 1.2, 0.2, 0.05, 0.75, 0.3, 1.1, 0.3, 0.1),
    "lymphocyte": Kind(
        ("lymphocyte",), 7.0, 1.1, 0.1, 0.05, 1.12, 0.3, 1.3, 0.15, 0.0, cell=8.4,
        cytoplasm=(0.06, 0.05),
    ),
    "centrocyte": Kind(("lymphocyte",), 8.6, 1.25, 0.15, 0.08, 0.72, 0.35, 1.4, 0.35, 0.2),
    "plasma_cell": Kind(
        ("plasma_cell",), 7.2, 1.08, 0.08, 0.03, 1.0, 0.55, 1.7, 0.35, 0.0, cell=13.0,
        cytoplasm=(0.2, 0.28),
    ),
    "neutrophil": Kind(
        ("neutrophil",), 4.1, 1.2, 0.12, 0.06, 1.15, 0.15, 1.0, 0.1, 0.0, 3, cell=11.0,
        cytoplasm=(0.0, 0.1),
    ),
    "eosinophil": Kind(
        ("eosinophil",), 4.6, 1.2, 0.12, 0.06, 1.0, 0.15, 1.0, 0.1, 0.0, 2, cell=12.0,
        cytoplasm=(0.0, 0.62),
    ),
    "macrophage": Kind(
        ("macrophage",), 8.6, 1.55, 0.15, 0.07, 0.5, 0.25, 1.2, 0.4, 0.3, cell=20.0,
        cytoplasm=(0.03, 0.2),
    ),
    "mitosis": Kind(
        ("mitotic_figure",), 10.5, 2.6, 0.15, 0.22, 1.35, 0.15, 0.9, 0.0, 0.0, cell=16.0,
        cytoplasm=(-0.1, -0.1),
    ),
    "apoptotic": Kind(
        ("apoptotic_body",), 4.2, 1.05, 0.3, 0.04, 1.4, 0.05, 1.0, 0.0, 0.0, cell=9.0,
        cytoplasm=(-0.05, 0.5), counted=False,
    ),
    "debris": Kind((), 2.4, 1.3, 0.45, 0.1, 0.9, 0.1, 1.0, 0.0, 0.0, counted=False),
    "ghost": Kind((), 9.0, 1.3, 0.2, 0.08, 0.16, 0.3, 1.4, 0.1, 0.0, counted=False),
}  # fmt: skip

# Entities whose object is the whole cell; for all others it is the nucleus.
WHOLE_CELL = frozenset({"macrophage", "plasma_cell", "eosinophil"})


def outlines(
    rng: np.random.Generator, kinds: list[Kind], placed: np.ndarray, mpp: float
) -> tuple[np.ndarray, np.ndarray]:
    """Polygons of nuclei without their lobes.

    Args:
        rng: source of randomness.
        kinds: kind of every nucleus.
        placed: x, y in pixels, angle, scale of every nucleus, float64 (N, 4).
        mpp: micrometres per pixel.

    Returns:
        Polygons in pixels around the centres, float64 (N, 20, 2); long axes in pixels (N,).
    """
    shape = np.array([(k.length, k.aspect, k.spread, k.rough) for k in kinds]).reshape(-1, 4)
    size = shape[:, 0] * placed[:, 3] * np.exp(shape[:, 2] * rng.standard_normal(len(kinds))) / mpp
    aspect = np.maximum(shape[:, 1] * np.exp(0.15 * rng.standard_normal(len(kinds))), 1.0)
    t = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    # Slow bumps are larger than fast ones: nuclei are bent and dented rather than spiked.
    fall = np.tile(np.array([1.3, 0.8, 0.4, 0.2]), 2)
    waves = rng.standard_normal((len(kinds), 8)) * shape[:, 3:] * fall
    order = np.arange(2, 6)[:, None] * t
    radius = 1 + waves[:, :4] @ np.cos(order) + waves[:, 4:] @ np.sin(order)
    x = np.cos(t) * radius * size[:, None] / 2
    y = np.sin(t) * radius * (size / aspect)[:, None] / 2
    cos, sin = np.cos(placed[:, 2:3]), np.sin(placed[:, 2:3])
    return np.stack([cos * x - sin * y, sin * x + cos * y], 2), size


def lobes(
    rng: np.random.Generator, kind: Kind, polygon: np.ndarray, size: float
) -> list[np.ndarray]:
    """The lobes of a nucleus, around its centre: the polygon itself, or several copies."""
    if kind.lobes == 1:
        return [polygon]
    count = kind.lobes if kind.lobes < 3 else int(rng.integers(2, 5))
    bend = rng.uniform(0, 2 * np.pi)
    turns = bend + np.arange(count) * (2.2 if count > 2 else np.pi)
    return [polygon + 0.52 * size * np.array([np.cos(a), np.sin(a)]) for a in turns]


def fill(target: np.ndarray, polygon: np.ndarray, value: int) -> None:
    """Fill a polygon with sub-pixel corners into a label map, int32 (H, W)."""
    cv2.fillPoly(target, [np.round(polygon * 16).astype(np.int32)], (value,), shift=4)


def draw(canvas: Canvas) -> None:
    """Draw all nuclei of the canvas: their densities and label maps.

    Two layers lie on each other as in a section of 3 to 4 um, where nuclei overlap: densities add
    up, and one layer is a little out of focus.
    """
    layers = [np.zeros(canvas.shape, np.int32) for _ in range(2)]
    cells = np.zeros(canvas.shape, np.int32)
    objects = np.zeros(canvas.shape, np.int32)
    spots: list[list[tuple[int, int, int]]] = [[], []]
    rng = canvas.rng
    kinds = [KINDS[n.kind] for n in canvas.nuclei]
    for nucleus, kind in zip(canvas.nuclei, kinds, strict=True):
        if kind.along:
            row = min(max(round(nucleus.y), 0), canvas.shape[0] - 1)
            column = min(max(round(nucleus.x), 0), canvas.shape[1] - 1)
            nucleus.angle = float(canvas.angle[row, column]) + 0.18 * float(rng.standard_normal())
    count = len(kinds) + 1
    placed = np.array([(n.x, n.y, n.angle, n.scale) for n in canvas.nuclei]).reshape(-1, 4)
    polygons, sizes = outlines(rng, kinds, placed, canvas.mpp)
    # Some nuclei are only grazed by the cut: pale and small.
    grazed = rng.random(count) < 0.15
    tone = np.exp(0.32 * rng.standard_normal(count)) * np.where(grazed, 0.55, 1.0)
    depth = rng.random(count) < 0.3
    nucleolus, offsets = rng.random(count), 0.12 * rng.standard_normal((count, 2))
    look = np.zeros((count, 4), np.float32)  # density, chromatin, fine (0..1), rim
    body = np.zeros((count, 2), np.float32)
    members: dict[str, list[int]] = {}
    for i, kind in enumerate(kinds, start=1):
        x, y, size = placed[i - 1, 0], placed[i - 1, 1], float(sizes[i - 1])
        layer = layers[int(depth[i])]
        for polygon in lobes(rng, kind, polygons[i - 1], size):
            shape = polygon * (0.8 if grazed[i] else 1.0) + (x, y)
            fill(layer, shape, i)
            if kind.counted:
                fill(objects, shape, i)
        pale = canvas.vesicular if kind.rim >= 0.3 else 0.0
        look[i] = (
            kind.density * tone[i] * (1 - 0.5 * pale),
            kind.chromatin * (1 + 0.7 * pale),
            1.0 if kind.grain < 1.3 else 0.0,
            kind.rim * (1 + 2.2 * pale),
        )
        if kind.cell:
            fill(cells, cell_outline(rng, kind, canvas.nuclei[i - 1], canvas.mpp), i)
            body[i] = kind.cytoplasm
        if nucleolus[i] < kind.nucleolus and size > 6:
            at = (round(x + offsets[i, 0] * size), round(y + offsets[i, 1] * size))
            spots[int(depth[i])].append((*at, round(max(0.08 * size, 0.6))))
        for entity in kind.entities:
            members.setdefault(entity, []).append(i)
    paint_cells(canvas, cells, body)
    inside = fields.blur(((layers[0] | layers[1]) > 0).astype(np.float32), canvas.px(0.25))
    for name in ("eosin", "hematoxylin"):
        # Nuclei take the place of most of the cytoplasm above and below them.
        canvas.dye[name] *= 1 - 0.6 * inside
    canvas.add("eosin", inside * np.float32(0.1))
    for layer, dots, sigma_um in zip(layers, spots, (0.12, 0.45), strict=True):
        if layer.any():
            paint_layer(canvas, layer, look, dots, sigma_um)
    canvas.labels["nuclei"] = objects
    for entity, chosen in members.items():
        source = cells if entity in WHOLE_CELL else objects
        if entity == "apoptotic_body":
            source = np.maximum(layers[0], layers[1])
        number = np.zeros(count, np.int32)
        number[chosen] = chosen
        canvas.labels[entity] = np.take(number, source)


def cell_outline(rng: np.random.Generator, kind: Kind, nucleus: Nucleus, mpp: float) -> np.ndarray:
    """Outline of the cell around a nucleus; plasma cells have theirs to one side."""
    t = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    radius = kind.cell * nucleus.scale / mpp / 2 * (1 + 0.1 * rng.standard_normal())
    bumps = 1 + 0.07 * rng.standard_normal(16)
    shift = 0.25 * radius if kind.cell > 12 else 0.0
    x = nucleus.x + np.cos(nucleus.angle) * shift + radius * bumps * np.cos(t)
    y = nucleus.y + np.sin(nucleus.angle) * shift + radius * 0.85 * bumps * np.sin(t)
    return np.stack([x, y], 1)


def paint_cells(canvas: Canvas, cells: np.ndarray, body: np.ndarray) -> None:
    """Paint the cytoplasm of free cells (inflammatory cells, mitoses)."""
    if not cells.any():
        return
    inside = fields.blur((cells > 0).astype(np.float32), canvas.px(0.4))
    foam = 1 + 0.35 * canvas.noise(1.6, 2)
    canvas.add("hematoxylin", inside * fields.blur(body[cells, 0], canvas.px(0.3)) * foam)
    canvas.add("eosin", inside * fields.blur(body[cells, 1], canvas.px(0.3)) * foam)


def paint_layer(
    canvas: Canvas,
    layer: np.ndarray,
    look: np.ndarray,
    spots: list[tuple[int, int, int]],
    sigma_um: float,
) -> None:
    """Paint one layer of nuclei.

    Args:
        canvas: what is painted.
        layer: index of the nucleus at every pixel, int32 (H, W).
        look: density, chromatin contrast, fineness, rim per nucleus, float32 (N, 4).
        spots: x, y, radius of nucleoli in pixels.
        sigma_um: defocus of the layer.
    """
    apart = (layer > 0) & ~fields.borders(layer)
    depth = fields.distance(apart) * np.float32(canvas.mpp)
    lut = np.take(look, layer, axis=0)
    coarse = canvas.noise(1.9, 2)
    fine = fields.smooth(canvas.rng, canvas.shape, canvas.px(0.7))
    grain = coarse + (fine - coarse) * lut[..., 2]
    edge = np.clip((depth + np.float32(0.25)) / np.float32(0.5), 0.35, 1)
    rim = np.exp(-((depth / np.float32(0.6)) ** 2))
    density = lut[..., 0] * edge * (1 - 0.12 + lut[..., 3] * rim + lut[..., 1] * grain * 0.8)
    if spots:
        dots = np.zeros(canvas.shape, np.uint8)
        for x, y, radius in spots:
            cv2.circle(dots, (x, y), radius, (1,), -1)
        density += 0.35 * dots * (layer > 0)
    density = np.maximum(density, 0) * (layer > 0)
    canvas.add("hematoxylin", fields.blur(density.astype(np.float32), canvas.px(sigma_um)))


def relabel(labels: np.ndarray) -> np.ndarray:
    """Number the labels of a map 1..n in their order, int32 (H, W)."""
    present = np.bincount(labels.ravel()) > 0
    present[0] = False
    number = np.zeros(len(present), np.int32)
    number[present] = np.arange(1, int(present.sum()) + 1)
    return np.take(number, labels)
