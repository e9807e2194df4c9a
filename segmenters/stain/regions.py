"""Regions and substances by colour and by how many nuclei lie in them, at 2 um per pixel."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

from segmenters.stain.nuclei import drop_small, fill_small_holes

REGION_MPP = 2.0
# Optical density (mean of the channels) below which a pixel holds nothing: glass, lumen or fat.
CLEAR_OD = 0.12
# Holes in glands are lumina when they hold nothing, or are too small for stroma.
MAX_LUMEN_UM2 = 60_000.0
MAX_SPECK_UM2 = 600.0
MIN_CLEAR_SHARE = 0.5


@dataclasses.dataclass(frozen=True)
class Field:
    """What the region rules look at, all (h, w) at `REGION_MPP`.

    Attributes:
        density: float32 (h, w, 3), optical density.
        stains: float32 (h, w, 2), haematoxylin and eosin concentrations.
        nuclear: float32, fraction of every pixel that is nucleus, 0..1.
        crowding: float32, `nuclear` averaged over a neighbourhood of sigma 10 um.
        clear: bool, holds nothing.
        tissue: bool, not clear, and clear specks of under 400 um2.
    """

    density: np.ndarray
    stains: np.ndarray
    nuclear: np.ndarray
    crowding: np.ndarray
    clear: np.ndarray
    tissue: np.ndarray


def field(density: np.ndarray, stains: np.ndarray, nuclear: np.ndarray) -> Field:
    """Derive the maps that the rules share.

    Args:
        density: float32 (h, w, 3), optical density at `REGION_MPP`.
        stains: float32 (h, w, 2), concentrations at `REGION_MPP`.
        nuclear: float32 (h, w), nuclear fraction at `REGION_MPP`.
    """
    clear = cv2.GaussianBlur(density.mean(axis=2), (0, 0), 0.8) < CLEAR_OD
    tissue = fill_small_holes(~clear, 400 / REGION_MPP**2)
    crowding = cv2.GaussianBlur(nuclear, (0, 0), 10 / REGION_MPP)
    return Field(density, stains, nuclear, crowding, clear, tissue)


def _disk(radius_um: float) -> np.ndarray:
    size = 2 * max(1, round(radius_um / REGION_MPP)) + 1
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))


def close(mask: np.ndarray, radius_um: float) -> np.ndarray:
    """Morphological closing by a disk, bool (h, w)."""
    pad = round(radius_um / REGION_MPP) + 1
    padded = cv2.copyMakeBorder(mask.astype(np.uint8), pad, pad, pad, pad, cv2.BORDER_REPLICATE)
    closed = cv2.morphologyEx(padded, cv2.MORPH_CLOSE, _disk(radius_um))
    return closed[pad:-pad, pad:-pad].astype(bool)


def open_(mask: np.ndarray, radius_um: float) -> np.ndarray:
    """Morphological opening by a disk, bool (h, w)."""
    return cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, _disk(radius_um)).astype(bool)


def dilate(mask: np.ndarray, radius_um: float) -> np.ndarray:
    """Dilation by a disk, bool (h, w)."""
    return cv2.dilate(mask.astype(np.uint8), _disk(radius_um)).astype(bool)


def red_cells(field: Field) -> np.ndarray:
    """Red blood cells: strong green and blue absorption, hardly any red, bool (h, w)."""
    red, green, blue = (field.density[..., c] for c in range(3))
    strong = (green > 0.55) & (blue > 0.45) & (red < 0.3 * green) & (blue > 0.62 * green)
    return drop_small(strong & field.tissue, 16 / REGION_MPP**2)


def epithelium(field: Field) -> np.ndarray:
    """Epithelium: tissue crowded with nuclei, bool (h, w)."""
    crowded = (field.crowding > 0.22) & field.tissue
    return drop_small(open_(close(crowded, 8), 6), 1500 / REGION_MPP**2)


def clear_spaces(field: Field) -> tuple[np.ndarray, np.ndarray]:
    """Clear spaces inside tissue as labels int32 (h, w), and their areas in um2 (n + 1,).

    Spaces that reach the picture's border are glass unless small.
    """
    space = open_(field.clear, 3)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        space.astype(np.uint8), connectivity=4
    )
    height, width = space.shape
    x, y, w, h, area = (stats[:, i] for i in range(5))
    outside = (x == 0) | (y == 0) | (x + w == width) | (y + h == height)
    area_um2 = area * REGION_MPP**2
    keep = (area_um2 >= 80) & ~(outside & (area_um2 > 8000))
    keep[0] = False
    names = np.zeros(count, np.int32)
    names[keep] = np.arange(1, keep.sum() + 1)
    return names[labels], np.concatenate([[0.0], area_um2[keep]])


def lumina(field: Field) -> np.ndarray:
    """Lumina: clear spaces with nuclei all around, int32 labels (h, w)."""
    spaces, areas = clear_spaces(field)
    keep = np.zeros(len(areas), np.int32)
    n = 0
    for i in range(1, len(areas)):
        inside = spaces == i
        ring = dilate(inside, 16) & ~inside
        if float(field.crowding[ring].mean() if ring.any() else 0) > 0.16 and areas[i] < 2e5:
            n += 1
            keep[i] = n
    return keep[spaces]


def fat(field: Field) -> np.ndarray:
    """Fat: large clear cells with thin walls, side by side, bool (h, w)."""
    space = field.clear
    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        open_(space, 4).astype(np.uint8), connectivity=4
    )
    cells = np.zeros(count, bool)
    for i in range(1, count):
        area = stats[i, cv2.CC_STAT_AREA] * REGION_MPP**2
        if area < 300:
            continue
        inside = labels == i
        ring = dilate(inside, 8) & ~inside
        # Walls of fat cells are thin and hold few nuclei; epithelium around a lumen is thick.
        if float(field.crowding[ring].mean() if ring.any() else 1) < 0.1 and (
            float(field.clear[dilate(inside, 16) & ~inside].mean()) > 0.35 or area > 3000
        ):
            cells[i] = True
    region = close(cells[labels], 8)
    # One empty picture is glass, not fat: there must be walls.
    walls = region & ~field.clear
    if float(walls.sum()) < 0.02 * max(1, region.sum()):
        return np.zeros_like(region)
    return drop_small(region, 4000 / REGION_MPP**2)


def mucin(field: Field) -> np.ndarray:
    """Mucin: pale, bluish and without nuclei, bool (h, w)."""
    mean = cv2.GaussianBlur(field.density.mean(axis=2), (0, 0), 2)
    haematoxylin = cv2.GaussianBlur(field.stains[..., 0], (0, 0), 2)
    eosin = cv2.GaussianBlur(field.stains[..., 1], (0, 0), 2)
    pale = (mean > CLEAR_OD) & (mean < 0.35) & (haematoxylin > eosin) & (field.crowding < 0.1)
    return drop_small(open_(pale & field.tissue, 6), 1500 / REGION_MPP**2)


def necrosis(field: Field) -> np.ndarray:
    """Necrosis: eosinophilic, granular, all but without nuclei, in a large patch, bool (h, w)."""
    mean = field.density.mean(axis=2)
    local = cv2.GaussianBlur(mean, (0, 0), 4)
    grain = np.sqrt(np.maximum(cv2.GaussianBlur(mean * mean, (0, 0), 4) - local**2, 0))
    grain = grain / np.maximum(local, 0.05)
    haze = cv2.GaussianBlur(field.stains[..., 0], (0, 0), 4)
    dead = (field.crowding < 0.06) & (haze > 0.25) & (grain > 0.12) & field.tissue
    return drop_small(open_(dead, 16), 2e4 / REGION_MPP**2)


def stroma(field: Field, excluded: np.ndarray) -> np.ndarray:
    """Stroma: tissue with few nuclei that is nothing else, bool (h, w).

    Args:
        field: the maps.
        excluded: bool (h, w), what was recognised as something else.
    """
    between = field.tissue & (field.crowding < 0.2) & ~excluded
    return drop_small(open_(close(between, 4), 4), 800 / REGION_MPP**2)


def lumen_holes(mask: np.ndarray, empty: np.ndarray, mpp: float) -> np.ndarray:
    """Holes in glands that belong to them, bool (H, W).

    A hole between crowded glands is stroma: only empty or very small ones are filled, and none
    that the border of the picture cuts.

    Args:
        mask: bool (H, W), the walls.
        empty: bool (H, W), where there is nothing.
        mpp: um per pixel.
    """
    count, holes, stats, _ = cv2.connectedComponentsWithStats(
        (~mask).astype(np.uint8), connectivity=4
    )
    height, width = mask.shape
    x, y, w, h, area = (stats[:, i] for i in range(5))
    inside = (x > 0) & (y > 0) & (x + w < width) & (y + h < height)
    share = np.bincount(holes.ravel(), weights=empty.ravel(), minlength=count) / np.maximum(area, 1)
    area_um2 = area * mpp**2
    keep = inside & ((area_um2 < MAX_SPECK_UM2) | (share > MIN_CLEAR_SHARE))
    keep &= area_um2 < MAX_LUMEN_UM2
    keep[0] = False
    return keep[holes]


def glands(field: Field, lumen: np.ndarray, epithelium_mask: np.ndarray) -> np.ndarray:
    """Glands: epithelium with a lumen, or closed nests of it, int32 labels (h, w).

    Args:
        field: the maps.
        lumen: int32 (h, w), lumina.
        epithelium_mask: bool (h, w).
    """
    crowded = cv2.GaussianBlur(field.nuclear, (0, 0), 6 / REGION_MPP) > 0.25
    body = close((crowded & field.tissue) | (lumen > 0), 10)
    body = body | lumen_holes(body, field.clear, REGION_MPP)
    body = open_(body & (epithelium_mask | dilate(lumen > 0, 20)), 10)
    body = drop_small(body, 1200 / REGION_MPP**2)
    _, labels = cv2.connectedComponents(body.astype(np.uint8), connectivity=4)
    return labels.astype(np.int32)
