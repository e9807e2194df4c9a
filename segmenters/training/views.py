"""Random pieces of tiles, and their colours changed for those of other laboratories."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from segmenters.stain.style import Style, restyle
from segmenters.training import augment
from segmenters.training.data import TrainingTile

RESTYLE_SHARE = 0.75
# Log of how far crops are rescaled either way: what an estimated scale is off by.
SCALE_SPREAD = 0.5


def clear(image: np.ndarray) -> np.ndarray:
    """Pixels of a crop that hold nothing, bool (H, W)."""
    smooth = cv2.GaussianBlur(image, (0, 0), 0.7)
    level = max(190.0, 0.93 * float(np.percentile(smooth.min(axis=2), 99)))
    return smooth.min(axis=2) > level


@dataclasses.dataclass(frozen=True)
class Looks:
    """Colours to change between.

    Attributes:
        own: style of every tile by its name.
        others: styles to take on, a list per set.
    """

    own: Mapping[str, Style] = dataclasses.field(default_factory=dict)
    others: Sequence[Sequence[Style]] = ()


def recolour(image: np.ndarray, name: str, looks: Looks, rng: np.random.Generator) -> np.ndarray:
    """Colours of another laboratory, or odd ones, uint8 (H, W, 3).

    Args:
        image: uint8 (H, W, 3), RGB.
        name: of its tile.
        looks: where colours are taken from.
        rng: source of chance.
    """
    if looks.others and name in looks.own and rng.random() < RESTYLE_SHARE:
        of_set = looks.others[rng.integers(len(looks.others))]
        style = of_set[rng.integers(len(of_set))]
        image = restyle(image, looks.own[name], style, float(rng.uniform(0.3, 1.0)))
    if rng.random() < 0.8:
        image = augment.restain(image, rng)
    if rng.random() < 0.4:
        hue = cv2.cvtColor(image, cv2.COLOR_RGB2HSV).astype(np.float32)
        hue[..., 0] = (hue[..., 0] + rng.normal(0, 7)) % 180
        hue[..., 1] *= np.exp(rng.normal(0, 0.3))
        hue[..., 2] = 255 * (hue[..., 2] / 255) ** np.exp(rng.normal(0, 0.25))
        image = cv2.cvtColor(np.clip(hue, 0, 255).astype(np.uint8), cv2.COLOR_HSV2RGB)
    if rng.random() < 0.1:
        grey = image @ rng.dirichlet([2.0, 2.0, 2.0])
        image = np.repeat(grey[..., None], 3, axis=2).astype(np.uint8)
    return image


def cut(
    tile: TrainingTile, size: int, rng: np.random.Generator, spread: float = SCALE_SPREAD
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """A random piece of a tile, turned, mirrored and rescaled.

    Args:
        tile: the tile.
        size: side of the piece in pixels.
        rng: source of chance.
        spread: logarithm of how far it is rescaled at most.

    Returns:
        image uint8 (size, size, 3); label maps int32 (size, size).
    """
    factor = tile.factor * float(np.exp(rng.uniform(-spread, spread)))
    image, labels = tile.image, dict(tile.labels)
    if factor < 0.9:
        # Averaged like a picture that is looked at; the map below would skip pixels.
        side = (max(8, round(image.shape[1] * factor)), max(8, round(image.shape[0] * factor)))
        image = cv2.resize(image, side, interpolation=cv2.INTER_AREA)
        labels = {
            k: cv2.resize(v, side, interpolation=cv2.INTER_NEAREST) for k, v in labels.items()
        }
        factor = 1.0
    where = augment.random_view((image.shape[0], image.shape[1]), factor, size, rng)
    warp = functools.partial(
        cv2.warpAffine, M=where, dsize=(size, size), borderMode=cv2.BORDER_REFLECT_101
    )
    image = warp(image, flags=cv2.INTER_LINEAR)
    return image, {k: warp(v, flags=cv2.INTER_NEAREST).astype(np.int32) for k, v in labels.items()}
