"""Train the network of mitotic figures: `python -m segmenters.training.mitoses --data DIR DIR2`.

Examples are the dark candidates of tiles whose figures are known: those on an outlined figure, and
all others.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import pathlib
from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch import nn

from segmenters.mitoses import candidates, model
from segmenters.mitoses.model import KINDS, FigureNet
from segmenters.stain import colour
from segmenters.training import augment
from segmenters.training.regions import rows
from segmenters.training.regions.train import encoder_file, pretrained
from segmenters.training.train import rate
from segmenters.unet import weights
from segmenters.unet.encoded import LOOK_MPP

# um per pixel where none is published.
_MPP = {"brecahad": 0.25, "nuinsseg": 0.24, "nuinsseg_tissue": 0.24}
# Nuclei of these kinds do not divide, whatever else the tile may hold.
_RESTING = ("lymphocyte", "stromal_nuclei", "tumor_nuclei")
# Tissues of which hardly a nucleus divides, and all of whose nuclei stand for others.
_RESTING_CODES = (
    "human_brain",
    "human_cerebellum",
    "human_kidney",
    "human_liver",
    "human_muscle",
    "human_pancreas",
    "human_salivory",
    "human_spleen",
    "mouse_heart",
    "mouse_kidney",
    "mouse_muscle_tibia",
)
_PER_TILE = {"midog_mf": 8, "brecahad": 40}
# Share of the batch per kind; of what is neither, half comes from tiles with figures.
_SHARES = (0.5, 0.38, 0.12)
BATCH = 64
STEPS = 600
PEAK_RATE = 1e-3
ENCODER_RATE = 0.5
EMA_DECAY = 0.99


@dataclasses.dataclass(frozen=True)
class Example:
    """A candidate.

    Attributes:
        image: uint8 (H, W, 3), RGB, the tile it lies in.
        y: its row.
        x: its column.
        factor: pixels of the network per pixel of the tile.
        kind: index into `KINDS`.
        hard: whether its tile holds figures, too.
    """

    image: np.ndarray
    y: float
    x: float
    factor: float
    kind: int
    hard: bool


def examples(row: rows.Row) -> list[Example]:
    """The candidates of a tile of which it is known what they are.

    Args:
        row: the tile.
    """
    names = set(row.entities) & {"mitotic_figure", "apoptotic_body", *_RESTING}
    if not (names or row.code in _RESTING_CODES) or row.stain != "H&E":
        return []
    if row.source not in _MPP and row.mpp is None:
        return []
    image = cv2.cvtColor(cv2.imread(str(row.file)), cv2.COLOR_BGR2RGB)
    mpp = row.mpp or _MPP[row.source]
    masks = {name: cv2.imread(str(row.entities[name].mask), cv2.IMREAD_UNCHANGED) for name in names}
    unknown = np.zeros(image.shape[:2], bool)
    if row.ignore is not None and set(row.ignored) & names:
        unknown = cv2.imread(str(row.ignore), cv2.IMREAD_UNCHANGED) > 0
    shrink = mpp / LOOK_MPP
    small = cv2.resize(image, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    density = colour.optical_density(small, colour.white_point(small))[..., 0]
    found = candidates.find(density, LOOK_MPP)
    kept = []
    for y, x in found.places[: _PER_TILE.get(row.source, 12)]:
        centre = ((y + 0.5) / shrink - 0.5, (x + 0.5) / shrink - 0.5)
        reach = round(1.0 / mpp)
        row_, column = (
            int(np.clip(round(c), 0, s - 1)) for c, s in zip(centre, image.shape[:2], strict=True)
        )
        near = (
            slice(max(0, row_ - reach), row_ + reach + 1),
            slice(max(0, column - reach), column + reach + 1),
        )
        kind = _kind(row, masks, near)
        if kind is None or unknown[near].any():
            continue
        kept.append(Example(image, *centre, mpp / model.MPP, kind, "mitotic_figure" in names))
    return kept


def _kind(row: rows.Row, masks: dict[str, np.ndarray], near: tuple) -> int | None:
    """What a candidate is, None where that is unknown."""
    for name, kind in (("mitotic_figure", 1), ("apoptotic_body", 2)):
        if name in masks and masks[name][near].any():
            return kind
    if "mitotic_figure" in masks or row.code in _RESTING_CODES:
        return 0
    return 0 if any(name in masks and masks[name][near].any() for name in _RESTING) else None


def view(example: Example, rng: np.random.Generator) -> np.ndarray:
    """A candidate turned, moved, rescaled, at a border and in other colours, uint8 (s, s, 3).

    Args:
        example: the candidate.
        rng: source of chance.
    """
    image, y, x = example.image, example.y, example.x
    if rng.random() < 0.5:
        # Figures lie in the middle of their tiles, what is none nearer to the borders.
        reach = rng.integers(8, 40, 4)
        top, left = max(0, int(y) - int(reach[0])), max(0, int(x) - int(reach[1]))
        image = image[top : int(y) + int(reach[2]), left : int(x) + int(reach[3])]
        y, x = y - top, x - left
    factor = example.factor * float(np.exp(rng.normal(0, 0.15)))
    moved = rng.normal(0, 1.5, 2) / factor
    found = model.crop(image, y + moved[0], x + moved[1], factor)
    found = np.rot90(found, rng.integers(4))
    found = np.ascontiguousarray(found[:, ::-1] if rng.random() < 0.5 else found)
    if rng.random() < 0.8:
        found = augment.restain(found, rng)
    return augment.degrade(augment.recolour(found, rng), rng)


def train(found: Sequence[Example], steps: int, seed: int, out: pathlib.Path) -> None:
    """Train on examples and write the moving average of the weights to `out`.

    Args:
        found: the examples.
        steps: of `BATCH` crops.
        seed: of the head and the crops.
        out: the file.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    net = FigureNet()
    net.encoder.load_state_dict(pretrained(encoder_file(), len(net.encoder.stages)))
    average = copy.deepcopy(net).eval()
    groups = {"share": ENCODER_RATE, "params": list(net.encoder.parameters())}
    optimizer = torch.optim.AdamW(
        [groups, {"share": 1.0, "params": list(net.head.parameters())}], weight_decay=1e-2
    )
    pools = [[e for e in found if e.kind == k and (k or e.hard)] for k in range(len(KINDS))]
    easy = [e for e in found if not e.hard]
    net.train()
    for module in net.encoder.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = PEAK_RATE * group["share"] * rate(step, steps)
        drawn = []
        for kind in rng.choice(len(KINDS), BATCH, p=_SHARES):
            pool = easy if kind == 0 and easy and rng.random() < 0.4 else pools[kind]
            drawn.append(pool[rng.integers(len(pool))])
        image = np.stack([view(example, rng) for example in drawn])
        pixels = torch.from_numpy(image).permute(0, 3, 1, 2).float() / 255
        want = torch.tensor([example.kind for example in drawn])
        with torch.autocast("cpu", torch.bfloat16):
            logits = net(pixels.contiguous(memory_format=torch.channels_last))
        loss = nn.functional.cross_entropy(logits.float(), want, label_smoothing=0.05)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 2.0)
        optimizer.step()
        decay = min(EMA_DECAY, (step + 1) / (step + 10))
        with torch.no_grad():
            for kept, new in zip(
                average.state_dict().values(), net.state_dict().values(), strict=True
            ):
                if kept.dtype.is_floating_point:
                    kept.lerp_(new, 1 - decay)
        if (step + 1) % 100 == 0:
            weights.save(average, out)
            print(f"mitoses {step + 1}/{steps} loss {float(loss.detach()):.3f}", flush=True)
    weights.save(average, out)


def main() -> None:
    """Parse the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=pathlib.Path, nargs="+", help="folders")
    parser.add_argument("--out", type=pathlib.Path, default=model.FILE)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    read = (examples(row) for row in rows.read(args.data) if not row.kept)
    train([example for part in read for example in part], args.steps, args.seed, args.out)


if __name__ == "__main__":
    main()
