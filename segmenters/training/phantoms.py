"""Phantom tiles as training tiles."""

from __future__ import annotations

import numpy as np

from miner.demo import render
from segmenters.training.data import Tile
from segmenters.unet.outputs import HEADS

# Seeds from here on are for training; `miner demo` and the benchmarks stay below.
TRAINING_SEED = 5_000_000
COUNT = {"nuclei": 72, "tissue": 260, "glomeruli": 48}
SIDE_PX = 320
_OFFSET = {"nuclei": 0, "tissue": 100_000, "glomeruli": 200_000}
# um per pixel: around the scale of the network, crops are rescaled on top of it.
MPP = {"nuclei": (0.3, 0.6), "tissue": (0.9, 1.6), "glomeruli": (1.2, 2.2)}
# Every so many tiles one of another stain: (period, stain, organ).
OTHERS = {
    "nuclei": ((10, "hematoxylin", None),),
    "tissue": (
        (2, "H&E", "colon"),
        (5, "H&E", "prostate"),
        (7, "H&E", "breast"),
        (8, "PAS", "kidney"),
        (9, "H&E", "kidney"),
    ),
    "glomeruli": ((1, "PAS", None), (2, "PAS", "kidney")),
}
# What phantoms show of each map, first match wins; what they do not show is known to be absent.
_MERGED = {
    "blood vessel": ("blood_vessel",),
    "epithelium": ("epithelium", "tumor"),
    "other": ("lumen", "colloid", "neuropil", "alveolus"),
    "smooth muscle": ("smooth_muscle",),
    "lymphoid": ("lymphoid_follicle",),
    "blood": ("hemorrhage",),
}
_UNSURE_GLAND = ("tubule", "thyroid_follicle", "alveolus")


def tile(seed: int, net: str, index: int) -> Tile:
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
    elif net == "glomeruli":
        found["glomerulus"] = labels.get("glomerulus", np.zeros(shape, np.uint16))
    else:
        for name in (*head.sigmoid, *head.softmax):
            parts = [labels[p] > 0 for p in _MERGED.get(name, (name,)) if p in labels]
            if name == "gland":
                found[name] = labels.get("gland", np.zeros(shape, np.uint16))
            elif parts or name in head.sigmoid:
                union = np.logical_or.reduce(parts) if parts else np.zeros(shape, bool)
                found[name] = union.astype(np.uint16)
        found.pop("centre")
        unsure = [labels[p] > 0 for p in _UNSURE_GLAND if p in labels]
        if unsure:
            found["unsure gland"] = np.logical_or.reduce(unsure).astype(np.uint16)
    return Tile(f"phantom/{seed}", "phantom", drawn.image, mpp / head.mpp, found)


def tiles(net: str) -> list[Tile]:
    """The phantoms a network is trained on."""
    first = TRAINING_SEED + _OFFSET[net]
    return [tile(first + i, net, i) for i in range(COUNT[net])]
