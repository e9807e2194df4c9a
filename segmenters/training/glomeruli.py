"""Crops to learn glomeruli in PAS from."""

from __future__ import annotations

import numpy as np

from segmenters.training import augment, targets, views
from segmenters.training.data import TrainingTile

# Log of the factor by which the optical density of a channel is changed.
CHANNEL_SPREAD = 0.15


def crop(tile: TrainingTile, size: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """A random view of a tile with its targets, shaped as those of `segmenters.training.data.crop`.

    Args:
        tile: the tile.
        size: side of the crop in pixels.
        rng: source of chance.
    """
    image, labels = views.cut(tile, size, rng)
    density = np.log(256.0) - np.log(image.astype(np.float32) + 1)
    density *= np.exp(rng.normal(0, CHANNEL_SPREAD, 3)).astype(np.float32)
    density *= np.float32(np.exp(rng.normal(0, 0.25)))
    image = np.clip(256 * np.exp(-density) - 1, 0, 255).astype(np.uint8)
    image = augment.degrade(augment.recolour(image, rng), rng)
    maps = (labels["glomerulus"] > 0).astype(np.float32)[None]
    return image, maps, np.ones_like(maps), np.full((size, size), targets.IGNORE, np.uint8)
