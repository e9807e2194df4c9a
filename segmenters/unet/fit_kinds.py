"""Train the classifier of nuclei: `python -m segmenters.unet.fit_kinds --data DIR`.

Every tile is looked at three times: at its scale, at an estimated one (a sheet of small nuclei is
then taken for a sheet of ordinary ones) and recoloured, degraded and with its scale misjudged.
Where a tile shows one tissue, most of its nuclei are taken to be of that tissue's kind.
"""

from __future__ import annotations

import argparse
import json
import pathlib
from collections.abc import Iterator

import cv2
import numpy as np
import torch
from torch import nn

from segmenters.unet import augment, data, kinds, phantoms
from segmenters.unet.segmenter import UnetSegmenter
from segmenters.unet.targets import IGNORE

TRUTH = {
    "epithelial_nuclei": "epithelial nucleus",
    "lymphocyte": "lymphocyte",
    "stromal_nuclei": "stromal nucleus",
    "neutrophil": "neutrophil",
    "macrophage": "macrophage",
}
HIDDEN = 24
STEPS = 600
# Phantom nuclei count a fifth: they are drawn, and only they have neutrophils and macrophages.
PHANTOM_WEIGHT = 0.2
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


def truth_of(tile: data.Tile) -> np.ndarray:
    """Kind of every pixel as far as it is known, uint8 (H, W)."""
    truth = np.full(tile.image.shape[:2], IGNORE, np.uint8)
    for name, kind in TRUTH.items():
        if name in tile.labels:
            truth[tile.labels[name] > 0] = kinds.KINDS.index(kind)
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
        truth, apart = truth_of(tile), data.kept_apart(row)
        for image, scale in views(tile.image, mpp, rng):
            yield *examples(segmenter, image, truth, scale), 1.0, tile.source, apart


def phantom_parts(segmenter: UnetSegmenter, count: int) -> Iterator[Part]:
    """Nuclei of phantoms."""
    for i in range(count):
        tile = phantoms.tile(phantoms.TRAINING_SEED + i, "nuclei", i)
        mpp = tile.factor * 0.5
        found = examples(segmenter, tile.image, truth_of(tile), mpp)
        yield *found, PHANTOM_WEIGHT, tile.source, False


def fit(rows: np.ndarray, kind: np.ndarray, weight: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """One hidden layer, kinds weighted by the root of their rarity."""
    torch.manual_seed(seed)
    mean, deviation = rows.mean(axis=0), rows.std(axis=0) + 1e-3
    x = torch.from_numpy(np.clip((rows - mean) / deviation, -4, 4)).float()
    y = torch.from_numpy(kind.astype(np.int64))
    share = np.bincount(kind, weights=weight, minlength=len(kinds.KINDS)) / weight.sum()
    each = torch.from_numpy(weight / np.sqrt(share[kind] + 1e-3)).float()
    first, second = nn.Linear(x.shape[1], HIDDEN), nn.Linear(HIDDEN, len(share))
    model = nn.Sequential(first, nn.ReLU(), second)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    for _ in range(STEPS):
        chosen = torch.randint(len(x), (2048,))
        entropy = nn.functional.cross_entropy(model(x[chosen]), y[chosen], reduction="none")
        loss = (entropy * each[chosen]).sum() / each[chosen].sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return {
        "mean": mean,
        "deviation": deviation,
        "weight1": first.weight.detach().numpy().T,
        "bias1": first.bias.detach().numpy(),
        "weight2": second.weight.detach().numpy().T,
        "bias2": second.bias.detach().numpy(),
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
    parser.add_argument("--phantoms", type=int, default=30)
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
