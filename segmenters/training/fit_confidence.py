"""Fit what the embedded segmenter's confidence means.

`python -m segmenters.training.fit_confidence --data DIR ...`

Masks of training tiles kept apart, as they are and degraded, and of phantoms that nothing was
trained on, are compared with truth; per concept a logistic regression tells which have an IoU of
.5 or more.
"""

from __future__ import annotations

import argparse
import json
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import cv2
import numpy as np
import torch

from miner.demo import render
from segmenters import confidence
from segmenters.embedded import EmbeddedSegmenter
from segmenters.protocol import Prompt
from segmenters.routes import ROUTES
from segmenters.stain.scale import resize_to
from segmenters.training import augment
from segmenters.training.fit_support import fit
from segmenters.training.regions import rows

PHANTOM_SEED = 6_000_000
# Entities of the training tiles and the concepts they are the truth of.
TRUTH = {
    "nuclei": "nucleus",
    "epithelial_nuclei": "epithelial nucleus",
    "lymphocyte": "lymphocyte",
    "stromal_nuclei": "stromal nucleus",
    "gland": "gland",
    "glomerulus": "glomerulus",
    "tumor": "epithelium",
    "tumor_region": "epithelium",
    "epithelium": "epithelium",
    "stroma": "stroma",
    "lymphocytic_infiltrate": "lymphocytic infiltrate",
    "muscle": "muscle",
    "fat": "fat",
    "mucin": "mucin",
    "necrosis": "necrosis",
    "mitotic_figure": "mitotic figure",
}
# Concepts that a tile of one tissue certainly does not show, by the publisher's class.
ABSENT = {
    "ADI": ("gland", "necrosis", "mucin", "lymphocyte"),
    "MUC": ("gland", "fat", "epithelium"),
    "MUS": ("gland", "fat", "epithelium"),
    "STR": ("gland", "fat", "epithelium"),
    "LYM": ("gland", "fat", "epithelium", "mucin"),
}
# What fills a tile of one tissue.
FILLS = {"ADI": "fat", "MUC": "mucin", "STR": "stroma", "TUM": "epithelium"}
# Every concept has a fit that stays near the one over all concepts: inverse variance of their
# difference. Log loss in eight folds by tile .316 with 1 and 3, .320 with 10, .331 with .1; without
# (and the common fit where masks are few) .362, most of it glands, which few tiles tell apart.
NEARNESS = 1.0
# Fewer masks than this, or fewer right or wrong ones, say too little of a concept.
MIN_MASKS = 25
MIN_OF_A_KIND = 4
# Of one set at most so many tiles, so that large sets do not outvote the others.
TILES_PER_SET = 6

# Features of a mask, whether its IoU is .5 or more, whether its truth is drawn.
Sample = tuple[np.ndarray, bool, bool]
# Image, um per pixel, truth per concept, where it is unknown, whether it is drawn.
Case = tuple[np.ndarray, float | None, Mapping[str, np.ndarray], np.ndarray, bool]


def real_cases(folders: Sequence[pathlib.Path], rng: np.random.Generator) -> Iterator[Case]:
    """Tiles kept apart, as they are and once degraded."""
    seen: dict[str, int] = {}
    for row in rows.read(folders):
        code = row.code or ""
        known = {k: e for k, e in row.entities.items() if k in TRUTH and e.exhaustive}
        # Benign glands between the tumor of this set are not outlined.
        known = {k: e for k, e in known.items() if (row.source, k) != ("rings", "tumor")}
        group = f"{row.source} {sorted(known) or code}"
        wanted = known or code in ABSENT or code in FILLS
        if not wanted or not row.kept or seen.get(group, 0) >= TILES_PER_SET:
            continue
        seen[group] = seen.get(group, 0) + 1
        image = cv2.cvtColor(cv2.imread(str(row.file)), cv2.COLOR_BGR2RGB)
        empty = np.zeros(image.shape[:2], np.int32)
        truth = {c: empty for c in ABSENT.get(code, ())}
        if code in FILLS:
            truth[FILLS[code]] = empty + 1
        unknown = empty
        if row.ignore is not None:
            unknown = cv2.imread(str(row.ignore), cv2.IMREAD_UNCHANGED).astype(np.int32)
        for name, entity in known.items():
            mask = cv2.imread(str(entity.mask), cv2.IMREAD_UNCHANGED)
            truth[TRUTH[name]] = mask.astype(np.int32)
        yield image, row.mpp, truth, unknown, False
        factor = float(np.exp(rng.uniform(-0.7, 0.4)))
        view = resize_to(augment.degrade(augment.restain(image, rng), rng), factor)
        size = view.shape[1], view.shape[0]

        def shown(labels: np.ndarray, size: tuple[int, int] = size) -> np.ndarray:
            values = labels.astype(np.float32)
            return cv2.resize(values, size, interpolation=cv2.INTER_NEAREST).astype(np.int32)

        mpp = row.mpp / factor if row.mpp and rng.random() < 0.5 else None
        yield view, mpp, {k: shown(v) for k, v in truth.items()}, shown(unknown), False


def phantom_cases(count: int) -> Iterator[Case]:
    """Phantoms with the truth of every concept; every second one hides its scale."""
    names = {concept.replace(" ", "_"): concept for concept in ROUTES}
    names |= {"nuclei": "nucleus", "epithelial_nuclei": "epithelial nucleus"}
    names |= {"stromal_nuclei": "stromal nucleus"}
    for i in range(count):
        tile = render.tile(PHANTOM_SEED + i, 384)
        empty = np.zeros(tile.image.shape[:2], np.int32)
        truth = {concept: tile.labels.get(entity, empty) for entity, concept in names.items()}
        if "tumor" in tile.labels:
            truth["epithelium"] = ((truth["epithelium"] > 0) | (tile.labels["tumor"] > 0)) * 1
        if {"tubule", "thyroid_follicle"} & set(tile.labels):
            del truth["gland"]
        # Muscle is drawn as smooth muscle, lymphocytes one by one, and no cytoplasm.
        truth["muscle"] = tile.labels.get("smooth_muscle", empty)
        del truth["lymphocytic infiltrate"], truth["cytoplasm"]
        yield tile.image, None if i % 2 else tile.mpp, truth, empty, True


def main() -> None:
    """Fit, print the reliability and write `segmenters/data/confidence.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=pathlib.Path, nargs="*", default=[], help="folders with index.jsonl"
    )
    parser.add_argument("--phantoms", type=int, default=44)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    segmenter = EmbeddedSegmenter()
    found: dict[str, list[Sample]] = {}
    cases = [phantom_cases(args.phantoms)]
    if args.data:
        cases.append(real_cases(args.data, np.random.default_rng(args.seed)))
    for source in cases:
        for image, mpp, truth, unknown, drawn in source:
            encoded = segmenter.encode(image, mpp)
            prompts = [Prompt(c, "", (c,)) for c in truth]
            for one in segmenter.segment(encoded, prompts):
                if one.mask is None:
                    continue
                want, mask = (m & (unknown == 0) for m in (truth[one.concept] > 0, one.mask))
                good = int((mask & want).sum()) >= 0.5 * max(1, int((mask | want).sum()))
                sample = (confidence.features(one.scores), good, drawn)
                found.setdefault(one.concept, []).append(sample)
    write(found)


def write(rows: Mapping[str, list[Sample]]) -> None:
    """Fit all concepts together, then each near that; write and report."""
    everything = [sample for concept in sorted(rows) for sample in rows[concept]]
    models = {"any": _fitted("any", everything, None)}
    common = np.array([*models["any"]["weights"], models["any"]["bias"]])
    for concept, samples in sorted(rows.items()):
        models[concept] = _fitted(concept, samples, common)
    path = pathlib.Path(confidence.__file__).parent / "data" / "confidence.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(models, indent=1) + "\n", encoding="utf-8")


def _fitted(concept: str, samples: Sequence[Sample], common: np.ndarray | None) -> dict[str, Any]:
    """Fit and report one concept: what `confidence.json` holds of it."""
    x, good, drawn = (np.array(v) for v in zip(*samples, strict=True))
    # Real tiles count three times: phantoms are many and alike.
    weights = np.where(drawn, 1.0, 3.0)
    strength = 0.0 if common is None else NEARNESS
    coefficients, bias = fit(x, good, weights / weights.mean(), common, strength)
    few = len(good) < MIN_MASKS or min(good.sum(), (~good).sum()) < MIN_OF_A_KIND
    probability = 1 / (1 + np.exp(-(x @ coefficients + bias)))
    sure = probability >= 0.8
    share = float(good[sure].mean()) if sure.any() else float("nan")
    print(
        f"{concept:20} {len(good):4} masks, {good.sum():4} good, "
        f"{sure.sum():4} at .8 or more of which {share:.2f} good" + ", too few to tell" * bool(few)
    )
    return {
        "weights": [round(float(v), 4) for v in coefficients],
        "bias": round(bias, 4),
        "drawn_only": bool(drawn.all()),
        "few": bool(few),
    }


if __name__ == "__main__":
    main()
