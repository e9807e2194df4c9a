"""How well a small CLIP tells right from wrong on labelled tiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain

import numpy as np

from filters.clip import counterfactuals
from filters.clip.embedded import EmbeddedClip
from filters.training.clip.lessons import ABSENT_BELOW, MIN_REGION_PX
from filters.training.clip.tiles import LayeredTile
from filters.training.clip.vocabulary import Vocabulary


def auroc(right: Sequence[float], wrong: Sequence[float]) -> float:
    """Chance that a right answer scores above a wrong one, ties half; nan without either."""
    if not len(right) or not len(wrong):
        return float("nan")
    order = np.sort(np.asarray(wrong, dtype=np.float64))
    values = np.asarray(right, dtype=np.float64)
    below = np.searchsorted(order, values, "left") + np.searchsorted(order, values, "right")
    return float(below.sum() / (2 * len(values) * len(order)))


def measure(
    clip: EmbeddedClip, tiles: Sequence[LayeredTile], vocabulary: Vocabulary
) -> Mapping[str, float]:
    """AUROC of phrases (right against wrong on one mask) and of places, over whole tiles.

    Returns:
        "phrases": pooled over all masks; "negation": phrase against "no <phrase>"; "places": right
        mask against the same shape elsewhere (mostly off the truth) with the right phrase; and
        "phrases:<concept>" for masks of each.
    """
    texts = clip.texts(vocabulary.names)
    denied = clip.texts([f"no {name}" for name in vocabulary.names])
    no: list[float] = []
    right: dict[str, list[float]] = {}
    wrong: dict[str, list[float]] = {}
    here: list[float] = []
    there: list[float] = []
    for number, tile in enumerate(tiles):
        dense = clip.dense(tile.image)
        grid = (dense.shape[0], dense.shape[1])
        rng = np.random.default_rng(number)
        for layer in tile.layers:
            truth = layer.labels > 0
            if truth.sum() < MIN_REGION_PX:
                continue
            place = vocabulary.index(layer.concept)
            weights = counterfactuals.grid_weights(truth, grid)
            others = counterfactuals.random_regions(weights, 2, rng) if layer.exhaustive else []
            others = [o for o in others if (o * weights).sum() < ABSENT_BELOW * o.sum()]
            embeddings = clip.regions(dense, np.stack([weights, *others]))
            found, name = embeddings @ texts.T, vocabulary.names[place]
            right.setdefault(name, []).append(float(found[0, place]))
            wrong.setdefault(name, []).extend(found[0, vocabulary.wrong[place]].tolist())
            no.append(float(embeddings[0] @ denied[place]))
            if others:
                here.append(float(found[0, place]))
                there.extend(found[1:, place].tolist())
    out = {
        "phrases": auroc(list(chain(*right.values())), list(chain(*wrong.values()))),
        "negation": auroc(list(chain(*right.values())), no),
        "places": auroc(here, there),
    }
    for concept in sorted(right):
        out[f"phrases:{concept}"] = auroc(right[concept], wrong[concept])
    return out
