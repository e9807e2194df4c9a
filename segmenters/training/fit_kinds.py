"""Train the classifier of nuclei: `python -m segmenters.training.fit_kinds --data DIR`.

Every real tile is looked at three times: at its scale, at an estimated one (a sheet of small nuclei
is then taken for a sheet of ordinary ones) and recoloured, degraded and with its scale misjudged.
Where a tile shows one tissue, most of its nuclei are taken to be of that tissue's kind. Phantoms
have every scale that users have, and every second one hides it.
"""

from __future__ import annotations

import argparse
import json
import pathlib
from collections.abc import Iterator, Mapping

import cv2
import numpy as np
import torch
from torch import nn

from miner.demo import render
from segmenters.training import augment, data
from segmenters.training.targets import IGNORE
from segmenters.unet import kinds
from segmenters.unet.segmenter import UnetSegmenter

TRUTH = {
    "epithelial_nuclei": "epithelial nucleus",
    "lymphocyte": "lymphocyte",
    "stromal_nuclei": "stromal nucleus",
    "neutrophil": "neutrophil",
    "macrophage": "macrophage",
}
HIDDEN = 24
STEPS = 600
BATCH = 1024
# Networks whose scores are averaged: one alone told the neutrophils of phantoms with an object F1
# of .18 to .29, by the luck of its seed, four together with .38 (60 phantoms in the fit).
MEMBERS = 4
# Seeds of phantoms for this fit alone, beside those of the networks.
PHANTOM_SEED = 5_200_000
PHANTOM_PX = 384
# Drawn nuclei count a tenth of real ones; only they have neutrophils and macrophages. Twice the
# weight tells no more neutrophils.
PHANTOM_WEIGHT = 0.1
# Lymph nodes are drawn full of large, pale lymphocytes. With them in the fit and brca_m2c left out
# of it, the object F1 of its lymphocytes falls from .53 to .43; that of drawn lymph nodes rises
# from .44 to .62. What is real counts.
ORGANS_LEFT_OUT = ("lymph node",)
# Largest natural logarithm of the factor by which a scale is misjudged.
MISJUDGED = 0.35

# Features, kind (`IGNORE` where unknown), weight, set, kept apart.
Part = tuple[np.ndarray, np.ndarray, float, str, bool]


def examples(
    segmenter: UnetSegmenter, image: np.ndarray, truth: np.ndarray, mpp: float | None
) -> tuple[np.ndarray, np.ndarray]:
    """Features of the nuclei found in a picture and the kind most of their pixels have.

    Args:
        segmenter: finds the nuclei.
        image: uint8 (H, W, 3), RGB.
        truth: uint8 (H, W), index into `kinds.KINDS` or `IGNORE`.
        mpp: um per pixel, None when unknown.

    Returns:
        float32 (n, features); int (n,), `IGNORE` where unknown.
    """
    encoded = segmenter.encode(image, mpp)
    labels = encoded.nuclei
    small = cv2.resize(truth, labels.shape[::-1], interpolation=cv2.INTER_NEAREST)
    n = int(labels.max())
    votes = np.zeros((n + 1, len(kinds.KINDS)), int)
    known = (small != IGNORE) & (labels > 0)
    np.add.at(votes, (labels[known], small[known]), 1)
    area = np.bincount(labels.ravel(), minlength=n + 1)
    sure = votes.max(axis=1) > 0.4 * area
    return encoded.kind_features, np.where(sure, votes.argmax(axis=1), IGNORE)[1:]


def truth_of(labels: Mapping[str, np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    """Kind of every pixel as far as it is known, uint8 (H, W).

    Args:
        labels: entity -> int (H, W) label map.
        shape: (H, W).
    """
    truth = np.full(shape, IGNORE, np.uint8)
    for name, kind in TRUTH.items():
        if name in labels:
            truth[labels[name] > 0] = kinds.KINDS.index(kind)
    return truth


def views(
    image: np.ndarray, mpp: float | None, rng: np.random.Generator
) -> Iterator[tuple[np.ndarray, float | None]]:
    """The picture and its um per pixel as three users might hand them in.

    Args:
        image: uint8 (H, W, 3), RGB.
        mpp: as published.
        rng: source of chance.
    """
    yield image, None
    if mpp is not None:
        yield image, mpp
    other = augment.degrade(augment.recolour(augment.restain(image, rng), rng), rng)
    wrong = float(np.exp(rng.uniform(-MISJUDGED, MISJUDGED)))
    yield other, mpp and mpp * wrong


def real_parts(
    segmenter: UnetSegmenter, folder: pathlib.Path, rng: np.random.Generator
) -> Iterator[Part]:
    """Nuclei of every tile whose kinds of nuclei are known, view by view."""
    for row in data.read_index(folder):
        tile = data.read_tile(folder, row, "nuclei")
        if tile is None or not any(name in tile.labels for name in TRUTH):
            continue
        mpp = row["mpp"] and row["mpp"] * row["width"] / tile.image.shape[1]
        truth = truth_of(tile.labels, tile.image.shape[:2])
        apart = data.kept_apart(row)
        for image, scale in views(tile.image, mpp, rng):
            yield *examples(segmenter, image, truth, scale), 1.0, tile.source, apart


def phantom_parts(segmenter: UnetSegmenter, count: int) -> Iterator[Part]:
    """Nuclei of phantoms."""
    for i in range(count):
        tile = render.tile(PHANTOM_SEED + i, PHANTOM_PX)
        if tile.organ in ORGANS_LEFT_OUT:
            continue
        truth = truth_of(tile.labels, tile.image.shape[:2])
        found = examples(segmenter, tile.image, truth, None if i % 2 else tile.mpp)
        yield *found, PHANTOM_WEIGHT, "phantom", False


def fit(rows: np.ndarray, kind: np.ndarray, weight: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Train `MEMBERS` networks of one hidden layer, kinds weighted by the root of their rarity.

    Args:
        rows: float32 (n, features).
        kind: int (n,), index into `kinds.KINDS`.
        weight: float (n,), what a nucleus counts.
        seed: of the first weights and of the batches.

    Returns:
        One network as `kinds.classify` reads it, whose scores are the mean of theirs: their hidden
        layers side by side.
    """
    chance = torch.Generator().manual_seed(seed)
    mean, deviation = rows.mean(axis=0), rows.std(axis=0) + 1e-3
    x = torch.from_numpy(np.clip((rows - mean) / deviation, -4, 4)).float()
    y = torch.from_numpy(kind.astype(np.int64))
    count = len(kinds.KINDS)
    share = np.bincount(kind, weights=weight, minlength=count) / weight.sum()
    each = torch.from_numpy(weight / np.sqrt(share[kind] + 1e-3)).float()

    def start(*shape: int, inputs: int) -> torch.Tensor:
        spread = 2 * torch.rand(MEMBERS, *shape, generator=chance) - 1
        return (spread / inputs**0.5).requires_grad_()

    inputs = rows.shape[1]
    weight1, bias1 = start(inputs, HIDDEN, inputs=inputs), start(1, HIDDEN, inputs=inputs)
    weight2, bias2 = start(HIDDEN, count, inputs=HIDDEN), start(1, count, inputs=HIDDEN)
    learned = [weight1, bias1, weight2, bias2]
    optimizer = torch.optim.AdamW(learned, lr=0.01, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    for _ in range(STEPS):
        chosen = torch.randint(len(x), (MEMBERS, BATCH), generator=chance)
        hidden = torch.relu(torch.baddbmm(bias1, x[chosen], weight1))
        score = torch.baddbmm(bias2, hidden, weight2).transpose(1, 2)
        entropy = nn.functional.cross_entropy(score, y[chosen], reduction="none")
        loss = MEMBERS * (entropy * each[chosen]).sum() / each[chosen].sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    first, offset, second, level = (v.detach().numpy() for v in learned)
    return {
        "mean": mean,
        "deviation": deviation,
        "weight1": first.transpose(1, 0, 2).reshape(inputs, -1),
        "bias1": offset.ravel(),
        "weight2": second.reshape(-1, count) / MEMBERS,
        "bias2": level.mean(axis=(0, 1)),
    }


def report(parts: list[Part]) -> None:
    """Print how well the kinds of nuclei kept apart are told, set by set."""
    sets = sorted({source for *_, source, apart in parts if apart})
    for source in sets:
        chosen = [(p[0], p[1]) for p in parts if p[4] and p[3] == source]
        rows, truth = (np.concatenate([c[i] for c in chosen]) for i in (0, 1))
        rows, truth = rows[truth != IGNORE], truth[truth != IGNORE]
        found = kinds.classify(rows).argmax(axis=1)
        for i, name in enumerate(kinds.KINDS):
            hits, total = int(((found == i) & (truth == i)).sum()), int((truth == i).sum())
            if total:
                f1 = 2 * hits / (total + int((found == i).sum()))
                print(f"{source:12}{name:20} F1 {f1:.3f} found {hits / total:.3f} of {total}")


def main() -> None:
    """Gather, fit, write, report on tiles kept apart."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=pathlib.Path, help="folder with index.jsonl")
    parser.add_argument("--phantoms", type=int, default=160)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    segmenter = UnetSegmenter()
    parts = list(phantom_parts(segmenter, args.phantoms))
    if args.data:
        parts += real_parts(segmenter, args.data, np.random.default_rng(args.seed))
    used = [p for p in parts if not p[4]]
    x = np.concatenate([p[0] for p in used])
    y = np.concatenate([p[1] for p in used]).astype(int)
    weight = np.concatenate([np.full(len(p[1]), p[2]) for p in used])
    known = y != IGNORE
    model = fit(x[known], y[known], weight[known], args.seed)
    rounded = {k: np.round(v.astype(float), 4).tolist() for k, v in model.items()}
    kinds.MODEL.parent.mkdir(exist_ok=True)
    kinds.MODEL.write_text(json.dumps(rounded) + "\n", encoding="utf-8")
    report(parts)


if __name__ == "__main__":
    main()
