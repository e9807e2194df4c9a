"""Train the classifier of nuclei: `python -m segmenters.unet.fit_kinds --data DIR`."""

from __future__ import annotations

import argparse
import json
import pathlib

import cv2
import numpy as np
import torch
from torch import nn

from segmenters.unet import data, kinds, phantoms
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


def examples(
    segmenter: UnetSegmenter, tile: data.Tile, mpp: float
) -> tuple[np.ndarray, np.ndarray]:
    """Features of the nuclei found in a tile and the kind most of their pixels have."""
    encoded = segmenter.encode(tile.image, mpp)
    labels = encoded.nuclei
    truth = np.full(tile.image.shape[:2], IGNORE, np.uint8)
    for name, kind in TRUTH.items():
        if name in tile.labels:
            truth[tile.labels[name] > 0] = kinds.KINDS.index(kind)
    small = cv2.resize(truth, labels.shape[::-1], interpolation=cv2.INTER_NEAREST)
    n = int(labels.max())
    votes = np.zeros((n + 1, len(kinds.KINDS)), int)
    known = (small != IGNORE) & (labels > 0)
    np.add.at(votes, (labels[known], small[known]), 1)
    area = np.bincount(labels.ravel(), minlength=n + 1)
    sure = votes.max(axis=1) > 0.4 * area
    return encoded.kind_features, np.where(sure, votes.argmax(axis=1), IGNORE)[1:]


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


def main() -> None:
    """Gather, fit, report on tiles kept apart, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=pathlib.Path, help="folder with index.jsonl")
    parser.add_argument("--tiles", type=int, default=60, help="real tiles at most")
    parser.add_argument("--phantoms", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    segmenter = UnetSegmenter()
    parts: list[tuple[np.ndarray, np.ndarray, float, bool]] = []
    if args.data:
        rows = [r for r in data.read_index(args.data) if "lymphocyte" in (r["entities"] or {})]
        kept = [r for r in rows if data.kept_apart(r)]
        used = [r for r in rows if not data.kept_apart(r)]
        for row in used[:: max(1, -(-len(used) // args.tiles))] + kept:
            tile = data.read_tile(args.data, row, "nuclei")
            if tile is not None:
                mpp = row["mpp"] * row["width"] / tile.image.shape[1]
                parts.append((*examples(segmenter, tile, mpp), 1.0, data.kept_apart(row)))
    for i in range(args.phantoms):
        tile = phantoms.tile(phantoms.TRAINING_SEED + i, "nuclei", i)
        parts.append((*examples(segmenter, tile, tile.factor * 0.5), PHANTOM_WEIGHT, False))
    x = np.concatenate([p[0] for p in parts])
    y = np.concatenate([p[1] for p in parts]).astype(int)
    weight = np.concatenate([np.full(len(p[1]), p[2]) for p in parts])
    apart = np.concatenate([np.full(len(p[1]), p[3]) for p in parts])
    train = (y != IGNORE) & ~apart
    model = fit(x[train], y[train], weight[train], args.seed)
    rounded = {k: np.round(v.astype(float), 4).tolist() for k, v in model.items()}
    kinds.MODEL.parent.mkdir(exist_ok=True)
    kinds.MODEL.write_text(json.dumps(rounded) + "\n", encoding="utf-8")
    test = (y != IGNORE) & apart
    if test.any():
        found = kinds.classify(x[test]).argmax(axis=1)
        for i, name in enumerate(kinds.KINDS):
            hits = int(((found == i) & (y[test] == i)).sum())
            total = int((found == i).sum() + (y[test] == i).sum())
            if total:
                print(f"{name:20} F1 {2 * hits / total:.3f} of {int((y[test] == i).sum())}")


if __name__ == "__main__":
    main()
