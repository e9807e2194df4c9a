"""Crops for the network of regions: from one tile or from four, in other colours."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from segmenters.regions.outputs import CLASSES, MAPS
from segmenters.training import augment, targets, views
from segmenters.training.data import TrainingTile

MOSAIC_SHARE = 0.35
# Bits of the classes, and every crop's six arrays: image uint8 (s, s, 3); allowed bool
# (classes, s, s); maps and weights float32 (maps, s, s); kinds uint8 (s, s).
_BITS = (1 << np.arange(len(CLASSES), dtype=np.uint16))[:, None, None]

Crop = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def view(tile: TrainingTile, size: int, looks: views.Looks, rng: np.random.Generator) -> Crop:
    """A random view of a tile with its targets.

    Args:
        tile: with the maps of `segmenters.training.regions.tiles.read`.
        size: side of the crop in pixels.
        looks: where colours are taken from.
        rng: source of chance.

    Returns:
        image uint8 (size, size, 3); allowed bool (classes, size, size), what every pixel may be;
        maps float32 (k, size, size), 0..1, one per sigmoid output; weights float32 (k, size, size),
        0 where unknown; kinds uint8 (size, size), `targets.IGNORE` where unknown.
    """
    image, labels = views.cut(tile, size, rng)
    allowed = (labels["allowed"][None].astype(np.uint16) & _BITS) > 0
    maps = np.zeros((len(MAPS), size, size), np.float32)
    weights = np.zeros_like(maps)
    gland = labels["gland"]
    maps[0], maps[1] = gland > 0, targets.centreness(gland)
    weights[0] = labels["known gland"]
    if tile.source in ("ebhi_seg", "rings", "phantom"):
        weights[1] = labels["known gland"]
    maps[2], weights[2] = labels["lumen"] == 2, labels["lumen"] > 0
    maps[3], weights[3] = labels["malignant"] == 2, labels["malignant"] > 0
    kinds = np.where(labels["kinds"] > 0, labels["kinds"] - 1, targets.IGNORE).astype(np.uint8)
    return views.recolour(image, tile.id, looks, rng), allowed, maps, weights, kinds


def mosaic(draw: Callable[[], Crop], size: int, rng: np.random.Generator) -> Crop:
    """Four crops side by side: edges between tissues for tiles that one tissue fills.

    Args:
        draw: gives a crop.
        size: side of the crops in pixels.
        rng: source of chance.
    """
    whole = tuple(a.copy() for a in draw())
    row, column = (int(v) for v in rng.integers(size // 4, 3 * size // 4, 2))
    for rows, columns in (
        (slice(row), slice(column, None)),
        (slice(row, None), slice(column)),
        (slice(row, None), slice(column, None)),
    ):
        other = draw()
        whole[0][rows, columns] = other[0][rows, columns]
        for mine, theirs in zip(whole[1:], other[1:], strict=True):
            mine[..., rows, columns] = theirs[..., rows, columns]
    # What touches a seam is cut: its depth there is not what the picture shows.
    seam = np.zeros((size, size), bool)
    seam[max(0, row - 3) : row + 3] = True
    seam[:, max(0, column - 3) : column + 3] = True
    whole[3][:, seam] *= 0.3
    return whole[0], whole[1], whole[2], whole[3], whole[4]


def crop(
    draw_tile: Callable[[], TrainingTile], size: int, looks: views.Looks, rng: np.random.Generator
) -> Crop:
    """A crop from one tile or from four, see `view`.

    Args:
        draw_tile: gives a tile.
        size: side of the crop in pixels.
        looks: where colours are taken from.
        rng: source of chance.
    """

    def draw() -> Crop:
        return view(draw_tile(), size, looks, rng)

    drawn = mosaic(draw, size, rng) if rng.random() < MOSAIC_SHARE else draw()
    return (augment.degrade(drawn[0], rng), *drawn[1:])
