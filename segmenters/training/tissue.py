"""Crops for the tissue network: from one tile or from four of different laboratories."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence

import cv2
import numpy as np

from segmenters.training import augment, styles, targets
from segmenters.training.data import Tile
from segmenters.unet.outputs import TISSUE

MOSAIC_SHARE = 0.3
RESTYLE_SHARE = 0.75
# Log of how far crops are rescaled either way: what an estimated scale is off by.
SCALE_SPREAD = 0.5
# Tumor of the colon is outlined gland by gland; elsewhere tumor is not known to be glands.
GLANDULAR_TUMOR = ("ebhi_seg",)
# Share of the weight of a class that fills a tile from one laboratory more or less.
WEAK = 0.3

# Later ones win where phantoms have both.
_REGION_CLASSES = (
    "stroma",
    "smooth muscle",
    "lymphoid",
    "fat",
    "epithelium",
    "keratin",
    "mucin",
    "necrosis",
    "blood",
    "other",
)

Crop = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


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

    own: Mapping[str, styles.Style] = dataclasses.field(default_factory=dict)
    others: Sequence[Sequence[styles.Style]] = ()


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
        image = styles.restyle(image, looks.own[name], style, float(rng.uniform(0.3, 1.0)))
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
    tile: Tile, size: int, rng: np.random.Generator
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """A random piece of a tile, turned, mirrored and rescaled.

    Args:
        tile: the tile.
        size: side of the piece in pixels.
        rng: source of chance.

    Returns:
        image uint8 (size, size, 3); label maps int32 (size, size).
    """
    factor = tile.factor * float(np.exp(rng.uniform(-SCALE_SPREAD, SCALE_SPREAD)))
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


def view(
    tile: Tile,
    size: int,
    looks: Looks,
    rng: np.random.Generator,
) -> Crop:
    """A random view of a tile with its targets.

    Args:
        tile: the tile.
        size: side of the crop in pixels.
        looks: where colours are taken from.
        rng: source of chance.

    Returns:
        image uint8 (size, size, 3); maps float32 (k, size, size), 0..1, one per sigmoid output;
        weights float32 (k, size, size), 0 where unknown; classes uint8 (size, size), index of the
        softmax outputs, `targets.IGNORE` where unknown.
    """
    image, labels = cut(tile, size, rng)
    maps, weights, classes = fill(tile, image, labels)
    return recolour(image, tile.id, looks, rng), maps, weights, classes


def mosaic(draw: Callable[[], Crop], size: int, rng: np.random.Generator) -> Crop:
    """Four crops side by side, so that neighbours differ in colour and glands end at seams.

    Args:
        draw: gives a crop.
        size: side of the crops in pixels.
        rng: source of chance.
    """
    image, maps, weights, classes = (a.copy() for a in draw())
    row, column = (int(v) for v in rng.integers(size // 4, 3 * size // 4, 2))
    for window in (
        (slice(row), slice(column, None)),
        (slice(row, None), slice(column)),
        (slice(row, None), slice(column, None)),
    ):
        other = draw()
        image[window], classes[window] = other[0][window], other[3][window]
        maps[(slice(None), *window)] = other[1][(slice(None), *window)]
        weights[(slice(None), *window)] = other[2][(slice(None), *window)]
    # What touches a seam is cut: its depth there is not what the picture shows.
    seam = np.zeros((size, size), bool)
    seam[max(0, row - 3) : row + 3] = True
    seam[:, max(0, column - 3) : column + 3] = True
    weights[:, seam] *= 0.3
    return image, maps, weights, classes


def crop(
    draw_tile: Callable[[], Tile],
    size: int,
    looks: Looks,
    rng: np.random.Generator,
) -> Crop:
    """A crop from one tile or from four.

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


def fill(tile: Tile, image: np.ndarray, labels: Mapping[str, np.ndarray]) -> tuple:
    """Targets of a crop: maps, weights and classes, see `view`.

    Args:
        tile: where the crop is from.
        image: uint8 (H, W, 3), the crop before its colours are changed.
        labels: the label maps of the crop, int32 (H, W) each.
    """
    shape = image.shape[:2]
    maps = np.zeros((len(TISSUE.sigmoid), *shape), np.float32)
    weights = np.zeros_like(maps)
    classes = np.full(shape, targets.IGNORE, np.uint8)
    index = {name: i for i, name in enumerate(TISSUE.sigmoid)}
    empty = clear(image) if tile.source != "phantom" else np.zeros(shape, bool)
    gland = labels.get("gland")
    if gland is not None:
        maps[index["centre"]], weights[index["centre"]] = targets.centreness(gland), 1
    elif "tumor" in labels and tile.source in GLANDULAR_TUMOR:
        # Outlined gland by gland, but touching ones are one piece: no depth.
        gland = labels["tumor"]
    if gland is not None:
        maps[index["gland"]], weights[index["gland"]] = gland > 0, 1
        weights[index["glomerulus"]] = 1
        if tile.source in GLANDULAR_TUMOR:
            # Lumina are inside the outline in some tiles and left out in others.
            weights[:2, empty & (gland == 0)] = 0
    if gland is not None and "epithelium" not in labels:
        maps[index["epithelium"]] = (gland > 0) & ~empty
        weights[index["epithelium"]] = ~(empty & (gland > 0))
    if "tumor" in labels and tile.source != "rings":
        tumor = labels["tumor"] > 0
        maps[index["epithelium"]], weights[index["epithelium"]] = tumor & ~empty, 1
        classes[tumor & ~empty] = TISSUE.softmax.index("epithelium")
        if tile.source in ("bcss", "camelyon", "ocdc"):
            # A nest of tumor may or may not be called a gland; what lies around it is none.
            weights[index["gland"]], weights[index["glomerulus"]] = 0.5 * ~tumor, 1
    if "glomerulus" in labels:
        maps[index["glomerulus"]], weights[index["glomerulus"]] = labels["glomerulus"] > 0, 1
    for name in ("lumen", "epithelium", "blood vessel"):
        if name in labels:
            maps[index[name]], weights[index[name]] = labels[name] > 0, 1
    if "unsure gland" in labels:
        weights[index["gland"]][labels["unsure gland"] > 0] = 0
    for name in _REGION_CLASSES:
        if name in labels:
            classes[labels[name] > 0] = TISSUE.softmax.index(name)
    if tile.tissue is not None:
        classes[:] = TISSUE.softmax.index(tile.tissue)
        present = tile.tissue == "epithelium"
        for name in ("gland", "epithelium"):
            maps[index[name]] = float(present)
            weights[index[name]] = WEAK * ~empty if present else 1.0
        weights[index["glomerulus"]] = 1
    return maps, weights, classes
