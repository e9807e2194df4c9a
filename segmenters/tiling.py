"""Tiles of a physical size, and putting the answers to them back together without seams."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
import pydantic

from miner.core.settings import Settings
from ner.concepts import concepts

# What the models were trained at: a nucleus in a 64 um field (PanNuke, 256 px of 0.25 um), and
# nothing beyond about 500 um, where BiomedParse is known to fail (its issue 25).
SMALLEST_FIELD_UM = 64.0
LARGEST_FIELD_UM = 500.0
STUFF_FIELD_UM = 256.0
# A picture is tiled and encoded anew for every field, so concepts of a like size share one.
FIELDS_UM = (SMALLEST_FIELD_UM, 128.0, STUFF_FIELD_UM, LARGEST_FIELD_UM)
# Field side over the typical diameter of an object.
FIELD_PER_DIAMETER = 3.2

# Glass is white: a pixel is tissue when its darkest channel is below this (0-255).
GLASS_LEVEL = 215


class TilingConfig(Settings):
    """At what physical scale a model sees a picture.

    Attributes:
        field: "concept" tiles by the size of what is looked for, "whole" shows the whole picture.
        field_um: side of a tile in um for every concept, instead of the concept's own.
        overlap: share of a tile's side that it shares with its neighbour, 0 to .5.
        min_tissue: tiles with less than this share of tissue are not shown to the model.
        max_tiles: most tiles of a picture for one field; where there were more, they are larger.
        scales_mpp: um per pixel tried in turn when it is unknown; the one whose masks agree best
            with those of the others is kept. None takes one scale, from the size of the nuclei.
    """

    field: Literal["concept", "whole"] = "concept"
    field_um: float | None = pydantic.Field(default=None, gt=0)
    overlap: float = pydantic.Field(default=0.25, ge=0, le=0.5)
    min_tissue: float = pydantic.Field(default=0.02, ge=0, le=1)
    max_tiles: int = pydantic.Field(default=16, ge=1)
    scales_mpp: tuple[float, ...] = ()


@dataclasses.dataclass(frozen=True)
class TileBox:
    """A rectangle of a picture in px, ends exclusive."""

    y0: int
    x0: int
    y1: int
    x1: int

    @property
    def at(self) -> tuple[slice, slice]:
        """Index of the rectangle in an array (H, W, ...)."""
        return slice(self.y0, self.y1), slice(self.x0, self.x1)


def field_um(concept: str) -> float:
    """Side of the field in um at which a concept is looked for.

    Objects fill about a third of it by their typical diameter (the geometric mean of the
    concept's smallest and largest), within what the models know; nuclei get the 64 um of PanNuke.
    The nearest of `FIELDS_UM`.
    """
    known = concepts().get(concept)
    if known is None or known.size_um is None:
        return STUFF_FIELD_UM
    typical = math.sqrt(known.size_um[0] * known.size_um[1])
    wanted = FIELD_PER_DIAMETER * typical
    return min(FIELDS_UM, key=lambda field: abs(math.log(field / wanted)))


def side_px(height: int, width: int, wanted: int, tiling: TilingConfig) -> int:
    """Side of the tiles in px: as wanted, or so large that there are not too many of them."""
    side = min(wanted, max(height, width))
    while len(grid(height, width, side, tiling.overlap)) > tiling.max_tiles:
        side = min(math.ceil(side * 1.05), max(height, width))
    return side


def grid(height: int, width: int, side: int, overlap: float) -> list[TileBox]:
    """Tiles that cover a picture, row by row.

    Args:
        height: of the picture in px.
        width: of the picture in px.
        side: of a tile in px; a picture that is smaller in a direction is one tile there.
        overlap: least share of the side that neighbours have in common, 0 to .5.
    """
    rows, columns = _starts(height, side, overlap), _starts(width, side, overlap)
    return [
        TileBox(y, x, min(y + side, height), min(x + side, width)) for y in rows for x in columns
    ]


def _starts(length: int, side: int, overlap: float) -> list[int]:
    if side >= length:
        return [0]
    step = max(1, int(side * (1 - overlap)))
    count = math.ceil((length - side) / step) + 1
    return [round(i * (length - side) / (count - 1)) for i in range(count)]


def tissue_share(image: np.ndarray) -> float:
    """Share of a picture, uint8 (H, W, 3), that is not white glass; 0..1."""
    return float((image.min(axis=2) < GLASS_LEVEL).mean())


def _ramp(length: int) -> np.ndarray:
    """Weights that fall from the middle of a tile to its ends, never 0."""
    place = np.arange(length, dtype=np.float32) + 0.5
    return np.minimum(place, length - place)


class Blend:
    """Averages overlapping maps, each weighing most in the middle of its tile.

    Args:
        height: of the picture in px.
        width: of the picture in px.
    """

    def __init__(self, height: int, width: int):
        self._sum = np.zeros((height, width), np.float32)
        self._weight = np.zeros((height, width), np.float32)

    def add(self, tile: TileBox, values: np.ndarray) -> None:
        """Add a tile's map, float (tile height, tile width)."""
        weight = np.outer(_ramp(tile.y1 - tile.y0), _ramp(tile.x1 - tile.x0))
        self._sum[tile.at] += values * weight
        self._weight[tile.at] += weight

    def result(self) -> np.ndarray:
        """The blended map, float32 (H, W); 0 where no tile was added."""
        return np.divide(
            self._sum, self._weight, out=np.zeros_like(self._sum), where=self._weight > 0
        )


def merge_labels(
    height: int,
    width: int,
    labels: Iterable[tuple[TileBox, np.ndarray]],
    least_overlap: float = 0.5,
) -> np.ndarray:
    """One label map from the label maps of overlapping tiles.

    Two objects of neighbouring tiles are one when, within what the tiles share, their
    intersection is at least `least_overlap` of the smaller of the two. Merging is transitive, so
    an object that spans several tiles stays one.

    Args:
        height: of the picture in px.
        width: of the picture in px.
        labels: per tile an int array (tile height, tile width), 0 background.
        least_overlap: see above, 0..1.

    Returns:
        int32 (height, width), 0 background, 1..n in the order of the objects' first pixels.
    """
    merged = np.zeros((height, width), np.int32)
    seen = np.zeros((height, width), bool)
    parents = [0]
    for tile, local in labels:
        here, covered = merged[tile.at], seen[tile.at]
        first = len(parents)
        count = int(local.max(initial=0))
        parents.extend(range(first, first + count))
        fresh = np.where(local > 0, local + (first - 1), 0).astype(np.int32)
        for new, old in _same(fresh, here, covered, least_overlap):
            _join(parents, new, old)
        merged[tile.at] = np.where(here > 0, here, fresh)
        seen[tile.at] = True
    roots = np.array([_root(parents, i) for i in range(len(parents))], np.int32)
    return _renumber(roots[merged])


def _same(
    fresh: np.ndarray, here: np.ndarray, covered: np.ndarray, least_overlap: float
) -> list[tuple[int, int]]:
    """Pairs of a new and an old object that are the same one."""
    both = (fresh > 0) & (here > 0)
    if not both.any():
        return []
    pairs, shared = np.unique(np.stack((fresh[both], here[both])), axis=1, return_counts=True)
    new_area = np.bincount(fresh[covered])
    old_area = np.bincount(here[covered])
    smaller = np.minimum(new_area[pairs[0]], old_area[pairs[1]])
    return [
        (int(new), int(old))
        for (new, old), same in zip(pairs.T, shared >= least_overlap * smaller, strict=True)
        if same
    ]


def _root(parents: Sequence[int], i: int) -> int:
    while parents[i] != i:
        i = parents[i]
    return i


def _join(parents: list[int], a: int, b: int) -> None:
    low, high = sorted((_root(parents, a), _root(parents, b)))
    parents[high] = low


def _renumber(labels: np.ndarray) -> np.ndarray:
    """Labels 1..n in the order of their first pixels, row by row."""
    values, first = np.unique(labels, return_index=True)
    values, first = values[values > 0], first[values > 0]
    numbers = np.zeros(int(labels.max(initial=0)) + 1, np.int32)
    numbers[values[np.argsort(first)]] = np.arange(1, len(values) + 1)
    return numbers[labels]
