"""Train the network of kinds of nuclei: `python -m segmenters.training.kind_net --data DIR DIR2`.

Seeded, on the CPU, in a fixed number of steps, from an encoder trained on photographs. Every
nucleus of which it is known what it is counts the same, whatever its size; all else is left out of
the loss. Without folders it is trained on phantoms alone.
"""

from __future__ import annotations

import argparse
import pathlib
from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch.nn import functional

from miner.demo import render
from segmenters.kinds import model
from segmenters.kinds.model import KindNet
from segmenters.regions.outputs import KINDS
from segmenters.stain import colour
from segmenters.stain.nuclei import nuclear_mask, split
from segmenters.training import augment, views
from segmenters.training.data import KIND_OF_CODE, TrainingTile
from segmenters.training.regions import rows, tiles
from segmenters.training.regions.train import (
    encoder_file,
    looks_of,
    pretrained,
    shared_out,
    train,
)

# Share of the crops per source. Where the kind is that of the tile, most of its nuclei have it.
SHARES = {
    "brca_m2c": 0.5,
    "nuinsseg": 0.12,
    "crc_tissue": 0.08,
    "hgsc": 0.1,
    "brecahad": 0.08,
    "phantom": 0.12,
}
BATCH = 8
CROP_PX = 192
STEPS = 2000
# Logarithm of how far crops are rescaled either way at most.
SCALE_SPREAD = 0.35
# Kinds that are rarer in tiles count more.
WORTH = torch.tensor([0.8, 1.3, 1.2, 1.5, 1.0])
SMOOTHING = 0.05
PHANTOM_SEED = 5_400_000
PHANTOMS = 120
PHANTOM_PX = 256


def read(row: rows.Row) -> TrainingTile | None:
    """One tile near the scale of the network, or None where no nucleus' kind is known.

    Its maps: `kinds`, 0 unknown, else one more than the kind; `nuclei`, labels of those.

    Args:
        row: the tile.
    """
    of_tile = KIND_OF_CODE.get(row.code or "")
    drawn = [name for name in row.entities if name in tiles.KIND_OF]
    if row.stain != "H&E" or not (drawn or of_tile):
        return None
    image = cv2.cvtColor(cv2.imread(str(row.file)), cv2.COLOR_BGR2RGB)
    mpp = row.mpp or tiles.MPP[row.source]
    masks = {n: cv2.imread(str(e.mask), cv2.IMREAD_UNCHANGED) for n, e in row.entities.items()}
    if not drawn and of_tile:
        if "nuclei" not in masks:
            density = colour.optical_density(image, colour.white_point(image))[..., 0]
            masks["nuclei"] = split(nuclear_mask(density, mpp), mpp)
        masks, drawn = {of_tile: masks["nuclei"]}, [of_tile]
    return _tile(row.id, row.source, image, mpp, {n: masks[n] for n in drawn})


def _tile(
    name: str, source: str, image: np.ndarray, mpp: float, masks: dict[str, np.ndarray]
) -> TrainingTile:
    shape = image.shape[:2]
    kinds, nuclei = np.zeros(shape, np.uint8), np.zeros(shape, np.int32)
    for entity, labels in masks.items():
        inside = labels > 0
        kinds[inside] = 1 + KINDS.index(tiles.KIND_OF[entity])
        nuclei[inside] = labels[inside].astype(np.int32) + nuclei.max()
    maps: dict[str, np.ndarray] = {"kinds": kinds, "nuclei": nuclei.astype(np.uint16)}
    factor = mpp / model.MPP
    shrink = min(1.0, factor * 1.4)
    if shrink < 0.95:
        size = (round(shape[1] * shrink), round(shape[0] * shrink))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        maps = {k: cv2.resize(v, size, interpolation=cv2.INTER_NEAREST) for k, v in maps.items()}
        factor /= shrink
    return TrainingTile(name, source, image, factor, maps)


def phantoms() -> list[TrainingTile]:
    """Phantoms; they alone have neutrophils and macrophages."""
    found = []
    for i in range(PHANTOMS):
        drawn = render.tile(PHANTOM_SEED + i, PHANTOM_PX)
        masks = {n: v for n, v in drawn.labels.items() if n in tiles.KIND_OF}
        found.append(_tile(f"phantom/{i}", "phantom", drawn.image, drawn.mpp, masks))
    return found


def loss_of(logits: torch.Tensor, kinds: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Cross entropy over the nuclei.

    Args:
        logits: float32 (n, kinds, H, W).
        kinds: int64 (n, H, W), 0 unknown, else one more than the kind.
        weight: float32 (n, H, W), those of a nucleus sum up to 1.
    """
    error = functional.cross_entropy(
        logits, (kinds - 1).clamp(0), reduction="none", label_smoothing=SMOOTHING
    )
    worth = weight * (kinds > 0) * WORTH[(kinds - 1).clamp(0)]
    return (worth * error).sum() / worth.sum().clamp(1.0)


class Sampler:
    """Draws crops, source by source in their shares."""

    def __init__(self, found: Sequence[TrainingTile], seed: int, looks: views.Looks) -> None:
        """Sort the tiles.

        Args:
            found: what to draw from.
            seed: of everything random.
            looks: colours that crops are changed between.
        """
        self.rng, self.looks = np.random.default_rng(seed), looks
        self.tiles: dict[str, list[TrainingTile]] = {}
        for tile in found:
            self.tiles.setdefault(tile.source, []).append(tile)
        self.sources, self.shares = shared_out(SHARES, self.tiles)

    def crop(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """One crop: image uint8 (s, s, 3); kinds and weights at half its size, see `loss_of`."""
        of_source = self.tiles[self.sources[self.rng.choice(len(self.sources), p=self.shares)]]
        tile = of_source[self.rng.integers(len(of_source))]
        image, labels = views.cut(tile, CROP_PX, self.rng, SCALE_SPREAD)
        image = augment.degrade(views.recolour(image, tile.id, self.looks, self.rng), self.rng)
        kinds, nuclei = labels["kinds"][::2, ::2], labels["nuclei"][::2, ::2]
        area = np.maximum(np.bincount(nuclei.ravel()), 4)
        return image, kinds.astype(np.int64), (1 / area[nuclei]).astype(np.float32)

    def batch(self) -> tuple[torch.Tensor, ...]:
        """One batch: pixels, kinds, weights."""
        image, kinds, weight = (
            np.stack(p) for p in zip(*(self.crop() for _ in range(BATCH)), strict=True)
        )
        pixels = torch.from_numpy(image).permute(0, 3, 1, 2).float() / 255
        return (
            pixels.contiguous(memory_format=torch.channels_last),
            torch.from_numpy(kinds),
            torch.from_numpy(weight),
        )


def main() -> None:
    """Parse the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=pathlib.Path, nargs="*", default=[], help="folders")
    parser.add_argument("--out", type=pathlib.Path, default=model.FILE)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--log", type=pathlib.Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    found = [t for r in rows.read(args.data) if not r.kept and (t := read(r)) is not None]
    looks = looks_of(found) if found else views.Looks()
    found += phantoms()
    args.out.parent.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(args.seed)
    net = KindNet()
    net.encoder.load_state_dict(pretrained(encoder_file(), len(net.encoder.stages)))
    train(Sampler(found, args.seed, looks), net, loss_of, args.steps, args.out, args.log)


if __name__ == "__main__":
    main()
