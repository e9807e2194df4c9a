"""Labelled tiles to train on: real ones from a folder, phantoms from the generator."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from scipy import ndimage

from filters.clip.embedded import LONG_SIDE_PX
from filters.training.clip.vocabulary import BACKGROUND, known_as
from miner.core.errors import Refused
from miner.core.names import map_concept
from miner.demo import render
from segmenters.training.data import kept_apart

KEPT_EVERY = 8  # every so many-th phantom is kept apart

# Label maps that are learned from.
ENTITIES = frozenset(
    {
        "nuclei",
        "lymphocyte",
        "epithelial_nuclei",
        "stromal_nuclei",
        "gland",
        "glomerulus",
        "tumor",
    }
)
# Tiles that show one tissue throughout: set -> label code -> concept.
TISSUES: Mapping[str, Mapping[str, str]] = {
    "crc_tissue": {
        "ADI": "fat",
        "MUC": "mucin",
        "MUS": "smooth muscle",
        "STR": "stroma",
        "TUM": "tumor",
        "LYM": "lymphoid aggregate",
        "DEB": "necrosis",
        "BACK": BACKGROUND,
    },
    "osteosarcoma": {"Non-Viable-Tumor": "necrosis", "Viable": "tumor"},
    "oral": {"OSCC": "tumor"},
}
GLASS = 215  # a pixel with all channels above is empty
MIN_GLASS_PX = 150  # smaller empty spots are clefts and bubbles


@dataclasses.dataclass(frozen=True)
class Layer:
    """One labelled structure of a tile.

    Attributes:
        concept: its name.
        labels: uint8 or uint16 (H, W), 0 background; 1..n objects, or 1 for a region.
        objects: whether the labels are single objects.
        exhaustive: whether what is not labelled is something else.
    """

    concept: str
    labels: np.ndarray
    objects: bool
    exhaustive: bool

    def __post_init__(self) -> None:
        narrow = np.uint8 if self.labels.max(initial=0) < 256 else np.uint16
        object.__setattr__(self, "labels", self.labels.astype(narrow))


@dataclasses.dataclass(frozen=True)
class LayeredTile:
    """A picture and what is known of it.

    Attributes:
        name: unique.
        kept: never trained on; choices are made on such tiles. Real tiles of one patient or slide
            are all kept or none, the same ones as for the learned segmenter.
        image: uint8 (H, W, 3), RGB.
        layers: what is labelled.
    """

    name: str
    kept: bool
    image: np.ndarray
    layers: tuple[Layer, ...]


def real_tiles(folder: Path, leave_out: Sequence[str] = ()) -> Iterator[LayeredTile]:
    """Tiles of a folder with an `index.jsonl`, in its order.

    Args:
        folder: has `index.jsonl` and the files that it names.
        leave_out: names of sets to skip.

    Raises:
        Refused: there is no index.
    """
    index = folder / "index.jsonl"
    if not index.is_file():
        raise Refused(f"--tiles: {index} does not exist")
    for line in index.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if row["set"] in leave_out:
            continue
        image = cv2.imread(str(folder / row["file"]), cv2.IMREAD_COLOR)[:, :, ::-1]
        layers = [
            Layer(
                known_as(map_concept(entity)),
                cv2.imread(str(folder / known["mask"]), cv2.IMREAD_UNCHANGED),
                known["kind"] == "instance",
                known["exhaustive"],
            )
            for entity, known in row["entities"].items()
        ]
        tissue = TISSUES.get(row["set"], {}).get(row["label_code"])
        if tissue is not None:
            layers.append(Layer(known_as(tissue), np.ones(image.shape[:2], np.uint8), False, False))
        layers += derived(np.ascontiguousarray(image), layers, row)
        yield small(
            LayeredTile(row["id"], kept_apart(row), np.ascontiguousarray(image), tuple(layers))
        )


def phantom_tiles(count: int, seed: int, side_px: int = 320) -> Iterator[LayeredTile]:
    """Phantoms of every organ in turn, at the scales of scanners, a sixth in other stains."""
    for i in range(count):
        rng = np.random.default_rng([seed, i])
        stain = str(rng.choice(["PAS", "hematoxylin"])) if rng.random() < 1 / 6 else "H&E"
        mpp = float(np.exp(rng.uniform(np.log(0.2), np.log(0.8))))
        organ = list(render.ORGANS)[i % len(render.ORGANS)]
        phantom = render.tile(rng, side_px, mpp, organ, stain)
        layers = [
            Layer(known_as(map_concept(name)), labels, name not in render.STUFF, True)
            for name, labels in phantom.labels.items()
        ]
        empty = phantom.image.min(axis=2) > GLASS
        for layer in layers:
            if layer.concept != "stroma":
                empty &= layer.labels == 0
        if empty.mean() > 0.01:
            layers.append(Layer(BACKGROUND, empty, False, False))
        name = f"phantom/{seed}-{i}"
        yield LayeredTile(name, i % KEPT_EVERY == 0, phantom.image, tuple(layers))


def derived(image: np.ndarray, layers: Sequence[Layer], row: Mapping[str, Any]) -> list[Layer]:
    """Layers that follow from others: empty glass, lumens, the stroma between benign glands."""
    out = []
    tissue = {layer.concept for layer in layers}
    empty = ndimage.binary_opening(image.min(axis=2) > GLASS, iterations=2)
    labels, _ = ndimage.label(empty)
    sizes = np.bincount(labels.ravel())
    empty &= (sizes >= MIN_GLASS_PX)[labels]
    glands = [layer for layer in layers if layer.concept == "gland"]
    if glands:
        inside = glands[0].labels > 0
        lumen, count = ndimage.label(empty & inside)
        if count:
            out.append(Layer("lumen", lumen, True, False))
        empty &= ~inside
        benign = row["label_code"] in {"healthy", "normal", "polyp", "low-grade-in"}
        between = ~ndimage.binary_dilation(inside | empty, iterations=4)
        if benign and between.mean() > 0.03:
            out.append(Layer("stroma", between, False, False))
    if empty.mean() > 0.01 and not tissue & {"fat", "mucin", BACKGROUND}:
        out.append(Layer(BACKGROUND, empty, False, False))
    return out


def small(tile: LayeredTile) -> LayeredTile:
    """The tile as the model sees it: at most `LONG_SIDE_PX` long."""
    height, width = tile.image.shape[:2]
    scale = LONG_SIDE_PX / max(height, width)
    if scale >= 1:
        return tile
    size = (round(width * scale), round(height * scale))
    layers = tuple(
        dataclasses.replace(
            layer, labels=cv2.resize(layer.labels, size, interpolation=cv2.INTER_NEAREST)
        )
        for layer in tile.layers
    )
    image = cv2.resize(tile.image, size, interpolation=cv2.INTER_AREA)
    return dataclasses.replace(tile, image=image, layers=layers)
