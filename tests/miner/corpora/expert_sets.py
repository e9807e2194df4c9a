"""Annotated sets in the layouts of their publishers, in miniature."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def tissue(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Noisy pink pixels, uint8 (H, W, 3)."""
    pixels = np.random.default_rng(seed).integers(150, 230, (height, width, 3), dtype=np.uint8)
    pixels[..., 1] //= 2
    return pixels


def discs(height: int, width: int, places: list[tuple[int, int]], radius: int = 5) -> np.ndarray:
    """Label map of discs around places (y, x), int32 (H, W), ids 1..n."""
    ys, xs = np.mgrid[:height, :width]
    labels = np.zeros((height, width), np.int32)
    for i, (y, x) in enumerate(places, start=1):
        labels[(ys - y) ** 2 + (xs - x) ** 2 <= radius**2] = i
    return labels


def write_pannuke(
    folder: Path,
    tiles: int = 3,
    fold: int = 1,
    side: int = 64,
    types: tuple[str, ...] = ("Breast", "Colon", "HeadNeck"),
    dtype: str = "float64",
) -> np.ndarray:
    """A fold with two neoplastic nuclei and an inflammatory one in each tile.

    Returns:
        Its masks, (n, side, side, 6), as written.
    """
    images = folder / f"Fold {fold}" / "images" / f"fold{fold}"
    masks = folder / f"Fold {fold}" / "masks" / f"fold{fold}"
    images.mkdir(parents=True)
    masks.mkdir(parents=True)
    pictures = np.stack([tissue(side, side, i) for i in range(tiles)] or [tissue(1, 1)][:0] or [[]])
    pictures = pictures.reshape(tiles, side, side, 3)
    found = np.zeros((tiles, side, side, 6), dtype)
    for i in range(tiles):
        # Ids run on over all classes of a tile, and some are above what 16 bits hold.
        found[i, ..., 0] = discs(side, side, [(12, 12), (12, 40)]) * 70_000
        found[i, ..., 1] = (discs(side, side, [(40, 20 + i)]) > 0) * 3
        found[i, ..., 5] = found[i, ..., :5].sum(-1) == 0
    np.save(images / "images.npy", pictures.astype(dtype))
    np.save(images / "types.npy", np.array([types[i % len(types)] for i in range(tiles)], "<U13"))
    np.save(masks / "masks.npy", found)
    return found
