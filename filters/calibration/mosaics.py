"""Tiles that one tissue fills, put together by fours: then a mask of it can be wrong."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import cv2
import numpy as np

from filters.calibration.labelled import Labelled, Truth

# Tissues that exclude each other in such a mosaic.
TISSUES = ("epithelium", "stroma", "lymphocytic infiltrate", "muscle", "fat", "mucin")
FILLED = 0.9  # share of a tile that its tissue covers
SIDE_PX, MPP = 224, 0.5  # of every quarter
# um per pixel of a set that publishes none, see `segmenters.training.data.ASSUMED_MPP`.
ASSUMED = {"nuinsseg": 0.24, "nuinsseg_tissue": 0.24}


def mosaics(tiles: Iterable[Labelled], count: int, seed: int) -> Iterator[Labelled]:
    """Squares of four quarters of different tissues.

    Args:
        tiles: labelled tiles; those of one tissue and a known scale are used.
        count: how many mosaics.
        seed: of all choices.
    """
    quarters = [(name, view) for tile in tiles for name, view in _quarter(tile)]
    by_tissue = {
        name: [v for n, v in quarters if n == name] for name in sorted({n for n, _ in quarters})
    }
    if len(by_tissue) < 2:
        return
    rng = np.random.default_rng(seed)
    for i in range(count):
        names = [str(n) for n in rng.permutation(list(by_tissue))]
        names = (names * 4)[:4] if rng.random() < 0.5 else [names[0], names[1], names[1], names[0]]
        views = [by_tissue[n][int(rng.integers(len(by_tissue[n])))] for n in names]
        image = np.vstack([np.hstack(views[:2]), np.hstack(views[2:])])
        truth = {}
        for name in sorted(set(names)):
            labels = np.zeros(image.shape[:2], np.int32)
            for k, shown in enumerate(names):
                y, x = SIDE_PX * (k // 2), SIDE_PX * (k % 2)
                labels[y : y + SIDE_PX, x : x + SIDE_PX] = shown == name
            truth[name] = Truth(labels, True)
        # Muscle and lymphoid tissue have stroma of their own.
        absent = tuple(name for name in TISSUES if name not in truth and name != "stroma")
        yield Labelled(
            f"mosaics/{i}", "mosaics", str(i), image, MPP, truth, kept=True, absent=absent
        )


def _quarter(tile: Labelled) -> Iterator[tuple[str, np.ndarray]]:
    """The tissue that fills a tile, and a piece of it, uint8 (SIDE_PX, SIDE_PX, 3)."""
    mpp = tile.mpp or ASSUMED.get(tile.source)
    for name, truth in tile.truth.items():
        if name == "tumor":
            name = "epithelium"
        if mpp is None or name not in TISSUES or (truth.labels > 0).mean() < FILLED:
            continue
        factor = max(mpp / MPP, SIDE_PX / min(tile.image.shape[:2]))
        view = cv2.resize(tile.image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        yield name, view[:SIDE_PX, :SIDE_PX]
