"""Phantom tiles as training tiles."""

from __future__ import annotations

import numpy as np

from miner.demo import render
from segmenters.training.data import TrainingTile
from segmenters.unet.outputs import HEADS

# Seeds from here on are for training; `miner demo` and the benchmarks stay below.
TRAINING_SEED = 5_000_000
COUNT = {"nuclei": 72, "glomeruli": 48}
SIDE_PX = 320
_OFFSET = {"nuclei": 0, "glomeruli": 200_000}
# um per pixel: around the scale of the network, crops are rescaled on top of it.
MPP = {"nuclei": (0.3, 0.6), "glomeruli": (1.2, 2.2)}
# Every so many tiles one of another stain: (period, stain, organ).
OTHERS = {
    "nuclei": ((10, "hematoxylin", None),),
    "glomeruli": ((1, "PAS", None), (2, "PAS", "kidney")),
}


def tile(seed: int, net: str, index: int) -> TrainingTile:
    """One phantom with truth for every map of the network that phantoms can show.

    Args:
        seed: seed of the tile.
        net: one of `HEADS`.
        index: its number, for the stain.
    """
    stain, organ = "H&E", None
    for period, other, site in OTHERS[net]:
        if index % period == period - 1:
            stain, organ = other, site
    low, high = MPP[net]
    mpp = float(np.random.default_rng(seed).uniform(low, high))
    drawn = render.tile(seed, SIDE_PX, mpp=mpp, stain=stain, organ=organ)
    labels = {k: v.astype(np.uint16) for k, v in drawn.labels.items()}
    shape = drawn.image.shape[:2]
    head = HEADS[net]
    found: dict[str, np.ndarray] = {}
    if net == "nuclei":
        names = ("nuclei", "epithelial_nuclei", "lymphocyte", "stromal_nuclei", "neutrophil")
        found = {k: labels[k] for k in (*names, "macrophage") if k in labels}
        for name in ("nuclei", "red_blood_cell"):
            found[name] = labels.get(name, np.zeros(shape, np.uint16))
    else:
        found["glomerulus"] = labels.get("glomerulus", np.zeros(shape, np.uint16))
    return TrainingTile(f"phantom/{seed}", "phantom", drawn.image, mpp / head.mpp, found)


def tiles(net: str) -> list[TrainingTile]:
    """The phantoms a network is trained on."""
    first = TRAINING_SEED + _OFFSET[net]
    return [tile(first + i, net, i) for i in range(COUNT[net])]
