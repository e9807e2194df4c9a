"""Fit the PAS recogniser: `python -m segmenters.training.fit_support --data DIR …`.

A logistic regression on colours; real PAS tiles are few and of one laboratory, so phantoms of both
stains stand beside them. Tiles kept apart are only reported on.
"""

from __future__ import annotations

import argparse
import json
import pathlib
from collections.abc import Sequence

import cv2
import numpy as np
import torch

from miner.demo import render
from segmenters.stain import support
from segmenters.training.regions import rows as tiles

PHANTOM_SEED = 5_300_000
PHANTOMS = 100
VIEWS_OF_PAS = 12
# With 1 / 300 the palest PAS tile kept apart and the most purple H&E tile (of a set whose stain is
# purple) lie the other way round.
L2, L2_OF_COLOURS = 1 / 300, 1 / 1000


def _jitter(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    density = np.log(256.0) - np.log(image.astype(np.float32) + 1)
    density = density * np.exp(rng.normal(0, 0.15)) * np.exp(rng.normal(0, 0.05, 3))
    return np.clip(256 * np.exp(-density) - 1, 0, 255).astype(np.uint8)


def _views(image: np.ndarray, count: int, rng: np.random.Generator) -> list[np.ndarray]:
    views = [image]
    for _ in range(count - 1):
        side = int(rng.integers(300, 900))
        y, x = (int(rng.integers(max(1, s - side))) for s in image.shape[:2])
        views.append(_jitter(image[y : y + side, x : x + side], rng))
    return views


def gather(
    folders: Sequence[pathlib.Path], seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[str]]:
    """Features (n, 144), whether PAS (n,), whether kept apart (n,), and where from."""
    rng = np.random.default_rng(seed)
    rows: list[tuple[np.ndarray, bool, bool, str]] = []

    def add(image: np.ndarray, pas: bool, kept: bool, source: str) -> None:
        tissue, share = support.tissue_densities(image)
        if share > support.BLANK_SHARE and len(tissue) >= 50:
            rows.append((support.chroma(tissue), pas, kept, source))

    for row in tiles.read(folders):
        image = cv2.cvtColor(cv2.imread(str(row.file)), cv2.COLOR_BGR2RGB)
        pas = row.stain == "PAS"
        for view in _views(image, VIEWS_OF_PAS if pas and not row.kept else 1, rng):
            add(view, pas, row.kept, row.source)
    for i in range(PHANTOMS):
        for stain in ("H&E", "PAS"):
            organ = "kidney" if stain == "PAS" and i % 2 else None
            tile = render.tile(PHANTOM_SEED + i, 192, stain=stain, organ=organ)
            add(tile.image, stain == "PAS", i >= 0.7 * PHANTOMS, f"phantom {stain}")
    features, pas_, kept_, sources = zip(*rows, strict=True)
    return np.stack(features), np.array(pas_), np.array(kept_), list(sources)


def fit(
    features: np.ndarray,
    truth: np.ndarray,
    weights: np.ndarray,
    prior: np.ndarray | None = None,
    prior_strength: float = 0.0,
    l2: float = L2,
) -> tuple[np.ndarray, float]:
    """Weighted logistic regression: coefficients (k,) and intercept.

    Args:
        features: float64 (n, k).
        truth: bool (n,).
        weights: float64 (n,), mean 1.
        prior: float64 (k + 1,), coefficients and intercept that few samples stay near; 0 if None.
        prior_strength: inverse variance of all of them around the prior.
        l2: of the penalty on squared coefficients.
    """
    x, y, w = (torch.from_numpy(a).double() for a in (features, truth.astype(float), weights))
    start = np.zeros(x.shape[1] + 1) if prior is None else prior
    centre = torch.from_numpy(start).double()
    beta = centre.clone().requires_grad_(True)
    optimizer = torch.optim.LBFGS([beta], max_iter=500, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        score = x @ beta[:-1] + beta[-1]
        entropy = torch.nn.functional.binary_cross_entropy_with_logits(score, y, weight=w)
        loss = entropy * len(y) + l2 * beta[:-1].square().sum() / 2
        loss = loss + prior_strength * (beta - centre).square().sum() / 2
        loss.backward()
        return loss

    optimizer.step(closure)
    found = beta.detach().numpy()
    return found[:-1], float(found[-1])


def main() -> None:
    """Fit, report and write the model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=pathlib.Path, nargs="+", required=True)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    features, pas, kept, sources = gather(args.data, args.seed)
    count = {s: sources.count(s) for s in sources}
    # Sets weigh by the root of their size; real PAS and all H&E twice, so that H&E is safe.
    weights = np.array([count[s] ** -0.5 for s in sources])
    weights *= np.where(~pas | np.array([s == "glomeruli_pas" for s in sources]), 2.0, 1.0)
    coefficients, bias = fit(features[~kept], pas[~kept], weights[~kept], l2=L2_OF_COLOURS)
    probability = 1 / (1 + np.exp(-(features @ coefficients + bias)))
    for source in sorted(count):
        chosen = kept & np.array([s == source for s in sources])
        if chosen.any():
            share = float((probability[chosen] > support.PAS_PROBABILITY).mean())
            print(f"{source:16}{int(chosen.sum()):5} kept apart, {share:.3f} taken for PAS")
    path = pathlib.Path(support.__file__).parent / "data" / "pas.json"
    model = {"weights": [round(float(v), 4) for v in coefficients], "bias": round(bias, 4)}
    path.write_text(json.dumps(model) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
