"""Fits the decision model: logistic regression per family, isotonic maps, thresholds.

Everything is cross-fitted: the log odds on which the isotonic map, the thresholds and all figures
rest come from models that never saw the tile's group.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from filters.batch import Batch, model_scores, read_batch
from filters.calibration.curves import calibrate, with_bins
from filters.calibration.logistic import fit_logistic
from filters.decision import Decision, Model, inputs

FEATURES = (
    "confidence",
    "clip_prob",
    "clip_cosine",
    "clip_margin_sibling",
    "clip_margin_absent",
    "clip_rank",
    "clip_margin_complement",
    "clip_margin_random",
    "clip_margin_shifted",
    "clip_instance_median",
    "clip_instance_worst",
    "ks_d",
    "ks_p",
    "ks_d_norm",
    "ks_p_norm",
    "ks_margin",
    "ks_rival",
    "ks_p_rival",
    "ks_d_object",
    "ks_p_object",
    "ks_effect",
    "ks_rim",
    "geometry_area_fraction",
    "geometry_objects",
    "geometry_diameter_um",
    "geometry_density_mm2",
    "geometry_solidity",
    "geometry_largest_fraction",
    "geometry_border_fraction",
    "geometry_outline_fraction",
)
CENTER_PRIOR = 20.0  # right masks that a family counts for when a concept has few of its own
PARTS = 5  # cross-fitting
MIN_FAMILY = 60  # right and wrong masks each, below which the global model is used
MIN_CONCEPT = 80.0  # right and wrong masks of a run each, for a calibration of a concept's own


@dataclasses.dataclass(frozen=True)
class Fitted:
    """The decision and the cross-fitted probabilities it was calibrated on.

    Attributes:
        decision: for the file.
        logit: float64 (n,), cross-fitted log odds of every candidate.
        probability: float64 (n,), calibrated on the other parts as well.
    """

    decision: Decision
    logit: np.ndarray
    probability: np.ndarray


def fit_decision(
    table: pa.Table,
    weight: np.ndarray,
    frequency: np.ndarray,
    sources: Sequence[str],
    features: Sequence[str] = FEATURES,
) -> Fitted:
    """Fit everything on candidates with a known answer.

    Args:
        table: see `filters.calibration.candidates.score_tiles`.
        weight: float64 (n,), how much each candidate counts in learning to tell right from wrong.
        frequency: float64 (n,), how many masks of a run each stands for: probabilities and
            thresholds rest on these.
        sources: names of the labelled data, for the file.
        features: scores to use.

    Raises:
        Refused: only right or only wrong masks.
    """
    batch = read_batch(table)
    right = np.array(table["right"].to_pylist(), bool)
    group = np.array(
        [
            f"{s}/{g}"
            for s, g in zip(table["source"].to_pylist(), table["group"].to_pylist(), strict=True)
        ]
    )
    segmenters = tuple(sorted(set(batch.segmenter) - {"planted"}))
    names = tuple(features)
    scores = model_scores(batch, names, segmenters)
    part = _parts(group)

    def design(rows: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
        # What is usual is learned from the same masks as the model.
        centers = usual(inputs_of(scores, names), batch, right & rows)
        return centers, inputs(scores, names, centers, batch.judged, batch.family)

    everything = np.ones(len(right), bool)
    centers, x = design(everything)
    trained = [
        name
        for name in sorted(set(batch.family))
        if _enough(right[batch.family == name], MIN_FAMILY)
    ]
    models = {"global": fit_logistic(x, right, weight)}
    for name in trained:
        mine = batch.family == name
        models[name] = fit_logistic(x[mine], right[mine], weight[mine], models["global"])
    logit = np.full(len(x), np.nan)
    for k in range(PARTS):
        seen, held = part != k, part == k
        if not held.any():
            continue
        _, x = design(seen)
        shared = fit_logistic(x[seen], right[seen], weight[seen])
        logit[held] = shared.logit(x[held])
        for name in trained:
            mine = batch.family == name
            if _enough(right[seen & mine], 1) and (held & mine).any():
                rows = seen & mine
                model = fit_logistic(x[rows], right[rows], weight[rows], shared)
                logit[held & mine] = model.logit(x[held & mine])
    levels = _levels(batch, right, frequency, models)
    calibrations = {
        name: calibrate(logit[rows], right[rows], frequency[rows]) for name, rows in levels.items()
    }
    probability = _held_out_probability(logit, right, frequency, part, levels)
    calibrations = {
        name: with_bins(
            one, probability[levels[name]], right[levels[name]], frequency[levels[name]]
        )
        for name, one in calibrations.items()
    }
    decision = Decision(names, segmenters, centers, models, calibrations, tuple(sources))
    return Fitted(decision, logit, probability)


def inputs_of(scores: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    """The scores as the models see them, float64 (n, f), before anything usual is subtracted."""
    nobody = np.full(len(scores), "", object)
    zero = {"global": np.zeros(scores.shape[1])}
    return inputs(scores, names, zero, nobody, nobody)[:, : scores.shape[1]]


def usual(x: np.ndarray, batch: Batch, right: np.ndarray) -> dict[str, np.ndarray]:
    """Means over right masks: per concept (drawn towards its family's), family, and all.

    Args:
        x: float64 (n, f), NaN where undefined.
        batch: the candidates.
        right: bool (n,), the masks to learn from.
    """

    def mean(rows: np.ndarray, prior: np.ndarray, strength: float) -> np.ndarray:
        count = np.isfinite(x[rows]).sum(axis=0)
        total = np.nansum(x[rows], axis=0)
        return (total + strength * prior) / (count + strength)

    centers = {"global": mean(right, np.zeros(x.shape[1]), 1e-9)}
    for name in sorted(set(batch.family)):
        rows = right & (batch.family == name)
        centers[f"family:{name}"] = mean(rows, centers["global"], CENTER_PRIOR)
    for name in sorted(set(batch.judged[right])):
        rows = right & (batch.judged == name)
        family = centers[f"family:{batch.family[rows][0]}"]
        centers[name] = mean(rows, family, CENTER_PRIOR)
    return centers


def _parts(group: np.ndarray) -> np.ndarray:
    """Part 0..PARTS-1 of every group, int64 (n,), in the order of their names."""
    names, index = np.unique(group, return_inverse=True)
    return np.arange(len(names))[index] % PARTS


def _enough(right: np.ndarray, least: int) -> bool:
    return min(int(right.sum()), int((~right).sum())) >= least


def _levels(
    batch: Batch, right: np.ndarray, frequency: np.ndarray, models: dict[str, Model]
) -> dict[str, np.ndarray]:
    """Rows that calibrate each level; later ones are narrower."""
    levels = {"global": np.ones(len(right), bool)}
    for name in sorted(set(batch.family)):
        rows = batch.family == name
        if name in models:
            levels[f"family:{name}"] = rows
    for name in sorted(set(batch.judged)):
        rows = batch.judged == name
        least = min(float(frequency[rows & right].sum()), float(frequency[rows & ~right].sum()))
        if least >= MIN_CONCEPT and batch.family[rows][0] in models:
            levels[f"concept:{name}"] = rows
    return levels


def _held_out_probability(
    logit: np.ndarray,
    right: np.ndarray,
    weight: np.ndarray,
    part: np.ndarray,
    levels: dict[str, np.ndarray],
) -> np.ndarray:
    """Probability of each candidate from calibrations without its part, float64 (n,)."""
    probability = np.full(len(logit), np.nan)
    for rows in levels.values():
        for k in range(PARTS):
            seen, held = rows & (part != k), rows & (part == k)
            if held.any() and seen.any():
                fitted = calibrate(logit[seen], right[seen], weight[seen])
                probability[held] = fitted.probability(logit[held])
    return probability
