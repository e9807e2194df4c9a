"""Train the networks: `python -m segmenters.training.train --data DIR --net nuclei`.

Seeded, on the CPU, in a fixed number of steps. Without the folder the networks are trained on
phantoms alone.
"""

from __future__ import annotations

import argparse
import copy
import pathlib
import sys
import time
from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch.nn import functional

from segmenters.stain import colour
from segmenters.stain.colour import Stains
from segmenters.training import data, glomeruli, phantoms, targets
from segmenters.unet import weights
from segmenters.unet.model import Unet
from segmenters.unet.outputs import HEADS

# Share of the crops per source; what is missing is shared out among the rest.
SHARES = {
    "nuclei": {
        "tnbc": 0.25,
        "nuinsseg": 0.28,
        "brca_m2c": 0.22,
        "dsb2018": 0.08,
        "crc_tissue": 0.05,
        "phantom": 0.12,
    },
    "glomeruli": {"glomeruli_pas": 0.75, "phantom": 0.25},
}
BATCH = 8
CROP_PX = {"nuclei": 160, "glomeruli": 128}
# Share of the nuclear network's crops that are shown in the stains of another training tile.
TRANSFER_SHARE = 0.5
# Of one set at most so many tiles lend their stains.
PALETTES_PER_SET = 50
PEAK_RATE = {"nuclei": 3e-3, "glomeruli": 1e-3}
WEIGHT_DECAY = 1e-3
WARMUP_STEPS = 60
DECAY_SHARE = 0.4
STEPS = {"nuclei": 6500, "glomeruli": 3000}
EMA_DECAY = 0.995
SAVE_EVERY = 200
# Loss weights of the depth and of the classes.
CENTRE_WEIGHT = 2.0
CLASS_WEIGHT = 0.3
# Where such a map is known to be blank, its soft Dice is but noise.
RARE = ("glomerulus",)


def loss_of(
    logits: torch.Tensor,
    maps: torch.Tensor,
    known: torch.Tensor,
    classes: torch.Tensor,
    net: str,
) -> torch.Tensor:
    """Cross-entropy and soft Dice per map, squared error of the depth, cross-entropy of classes.

    Args:
        logits: float32 (n, outputs, H, W).
        maps: float32 (n, k, H, W), targets of the sigmoid maps.
        known: float32 (n, k, H, W), weights, 0 where unknown.
        classes: int64 (n, H, W), `targets.IGNORE` where unknown.
        net: one of `HEADS`.
    """
    head = HEADS[net]
    k = len(head.sigmoid)
    total = logits.new_zeros(())
    for i, name in enumerate(head.sigmoid):
        out, want, weight = logits[:, i], maps[:, i], known[:, i]
        amount = weight.sum()
        if float(amount) == 0:
            continue
        probability = torch.sigmoid(out)
        if name == "centre":
            total = total + CENTRE_WEIGHT * (weight * (probability - want) ** 2).sum() / amount
            continue
        entropy = functional.binary_cross_entropy_with_logits(out, want, reduction="none")
        share = amount / weight.numel()
        blank = name in RARE and float((weight * want).sum()) == 0
        overlap = (weight * probability * want).sum()
        size = (weight * (probability + want)).sum()
        dice = 1 - (2 * overlap + 50) / (size + 50)
        total = total + share.sqrt() * (
            (weight * entropy).sum() / amount + (not blank) * 0.5 * dice
        )
    if bool((classes != targets.IGNORE).any()):
        total = total + CLASS_WEIGHT * functional.cross_entropy(
            logits[:, k:], classes, ignore_index=targets.IGNORE
        )
    return total


class Sampler:
    """Draws crops, source by source in their shares."""

    def __init__(
        self,
        tiles: list[data.TrainingTile],
        net: str,
        seed: int,
        palettes: Sequence[Stains] = (),
    ) -> None:
        """Sort the tiles.

        Args:
            tiles: what to draw from.
            net: one of `HEADS`.
            seed: of everything random.
            palettes: stains that crops of the nuclear network are shown in, besides their own.
        """
        self.net, self.palettes = net, palettes
        self.own = {t.id: stains_of(t.image) for t in tiles} if palettes else {}
        self.rng = np.random.default_rng(seed)
        self.tiles: dict[str, list[data.TrainingTile]] = {}
        for tile in tiles:
            self.tiles.setdefault(tile.source, []).append(tile)
        self.sources = [s for s in SHARES[net] if s in self.tiles]
        shares = np.array([SHARES[net][s] for s in self.sources])
        self.shares = shares / shares.sum()

    def tile(self) -> data.TrainingTile:
        """A tile of a set drawn by the shares."""
        source = self.sources[self.rng.choice(len(self.sources), p=self.shares)]
        return self.tiles[source][self.rng.integers(len(self.tiles[source]))]

    def batch(self) -> tuple[torch.Tensor, ...]:
        """One batch: pixels, maps, known, classes."""
        parts = []
        for _ in range(BATCH):
            if self.net == "glomeruli":
                parts.append(glomeruli.crop(self.tile(), CROP_PX["glomeruli"], self.rng))
                continue
            tile, stains = self.tile(), None
            if self.palettes and self.rng.random() < TRANSFER_SHARE:
                other = self.palettes[self.rng.integers(len(self.palettes))]
                stains = (self.own[tile.id], other)
            parts.append(data.crop(tile, CROP_PX["nuclei"], self.rng, stains))
        image, maps, known, classes = (np.stack(p) for p in zip(*parts, strict=True))
        pixels = torch.from_numpy(image).permute(0, 3, 1, 2).float() / 255
        return (
            pixels.contiguous(memory_format=torch.channels_last),
            torch.from_numpy(maps),
            torch.from_numpy(known),
            torch.from_numpy(classes).long(),
        )


def stains_of(image: np.ndarray) -> Stains:
    """The stains of a tile, uint8 (H, W, 3)."""
    white = colour.white_point(image)
    return colour.estimate(colour.optical_density(image, white), white)


def read_palettes(folder: pathlib.Path, rows: list[dict]) -> list[Stains]:
    """The stains of H&E tiles that show both well enough to be estimated.

    Args:
        folder: the folder of the index.
        rows: its rows; those of patients kept apart are passed over.
    """
    found: dict[str, list[Stains]] = {}
    for row in rows:
        of_set = found.setdefault(row["set"], [])
        if row["stain"] != "H&E" or data.kept_apart(row) or len(of_set) >= PALETTES_PER_SET:
            continue
        image = cv2.cvtColor(cv2.imread(str(folder / row["file"])), cv2.COLOR_BGR2RGB)
        stains = stains_of(image)
        if not stains.fallbacks:
            of_set.append(stains)
    return [stains for of_set in found.values() for stains in of_set]


def rate(step: int, steps: int) -> float:
    """Share of the peak learning rate: warm-up, constant, then a straight way down to 1%.

    Up to the way down it does not depend on `steps`, so a training can be resumed with more or
    fewer of them.
    """
    down = steps * (1 - DECAY_SHARE)
    if step < WARMUP_STEPS:
        return (step + 1) / WARMUP_STEPS
    return min(1.0, max(0.01, (steps - step) / (steps - down)))


def train(
    tiles: list[data.TrainingTile],
    net: str,
    steps: int,
    seed: int,
    out: pathlib.Path,
    log: pathlib.Path | None = None,
    palettes: Sequence[Stains] = (),
) -> None:
    """Train one network and write the moving average of its weights to `out`.

    Written every `SAVE_EVERY` steps, with a `.resume` file beside it from which an interrupted
    training goes on exactly where it stood.
    """
    torch.manual_seed(seed)
    model = Unet(HEADS[net].outputs, HEADS[net].widths)
    average = copy.deepcopy(model).eval()
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=WEIGHT_DECAY)
    sampler = Sampler(tiles, net, seed, palettes)
    start, recent, first = time.monotonic(), [], 0
    resume = out.with_suffix(".resume")
    if resume.exists():
        saved = torch.load(resume, weights_only=True)
        model.load_state_dict(saved["model"])
        average.load_state_dict(saved["average"])
        optimizer.load_state_dict(saved["optimizer"])
        sampler.rng.bit_generator.state = saved["rng"]
        first = saved["step"]
    for step in range(first, steps):
        for group in optimizer.param_groups:
            group["lr"] = PEAK_RATE[net] * rate(step, steps)
        pixels, maps, known, classes = sampler.batch()
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(pixels)
        loss = loss_of(logits.float(), maps, known, classes, net)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 2.0)
        optimizer.step()
        decay = min(EMA_DECAY, (step + 1) / (step + 10))
        with torch.no_grad():
            for kept, new in zip(
                average.state_dict().values(), model.state_dict().values(), strict=True
            ):
                if kept.dtype.is_floating_point:
                    kept.lerp_(new, 1 - decay)
                else:
                    kept.copy_(new)
        recent.append(float(loss.detach()))
        if (step + 1) % 50 == 0:
            line = f"{net} {step + 1}/{steps} loss {np.mean(recent[-50:]):.4f} "
            line += f"{time.monotonic() - start:.0f} s"
            if log:
                with log.open("a") as handle:
                    handle.write(line + "\n")
        if (step + 1) % SAVE_EVERY == 0 or step + 1 == steps:
            weights.save(average, out)
            saved = {
                "model": model.state_dict(),
                "average": average.state_dict(),
                "optimizer": optimizer.state_dict(),
                "rng": sampler.rng.bit_generator.state,
                "step": step + 1,
            }
            torch.save(saved, resume)
    resume.unlink(missing_ok=True)


def main() -> None:
    """Parse the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=pathlib.Path, help="folder with index.jsonl")
    parser.add_argument("--out", type=pathlib.Path, help="the shipped file when left out")
    parser.add_argument("--net", choices=tuple(HEADS), required=True)
    parser.add_argument("--steps", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--leave-out", nargs="*", default=[], help="sets not to train on")
    parser.add_argument("--log", type=pathlib.Path)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    cv2.setNumThreads(args.threads)
    tiles: list[data.TrainingTile] = []
    palettes: list[Stains] = []
    if args.data:
        rows = data.read_index(args.data, tuple(args.leave_out))
        read = (data.read_tile(args.data, r, args.net) for r in rows if not data.kept_apart(r))
        tiles = [tile for tile in read if tile is not None]
        if args.net == "nuclei":
            palettes = read_palettes(args.data, rows)
    else:
        print("no --data: training on phantoms alone", file=sys.stderr)
    tiles += phantoms.tiles(args.net)
    out = args.out or weights.FOLDER / f"{args.net}.pt"
    out.parent.mkdir(parents=True, exist_ok=True)
    steps = args.steps or STEPS[args.net]
    train(tiles, args.net, steps, args.seed, out, args.log, palettes)


if __name__ == "__main__":
    main()
