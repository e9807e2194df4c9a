"""Colours of training tiles: what tissue looks like in every laboratory at hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from segmenters.stain.style import Style, style_of
from segmenters.training.data import TrainingTile

PER_SET = 16


def of_tiles(tiles: Sequence[TrainingTile]) -> dict[str, Style]:
    """Style of every tile by its name; tiles of one tissue have that of all such tiles of the set.

    Args:
        tiles: the tiles; those that hold hardly any tissue get no style.
    """
    alike: dict[str, list[np.ndarray]] = {}
    for tile in tiles:
        if tile.tissue is not None:
            alike.setdefault(tile.source, []).append(tile.image)
    common = {source: style_of(*images) for source, images in alike.items()}
    found = {}
    for tile in tiles:
        style = style_of(tile.image) if tile.tissue is None else common[tile.source]
        if style is not None:
            found[tile.id] = style
    return found
