"""Fits the decision model: logistic regression per family, isotonic maps, thresholds.

Everything is cross-fitted: the log odds on which the isotonic map, the thresholds and all figures
rest come from models that never saw the tile's group.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from filters.batch import CONFIDENCE, Batch, model_scores, read_batch, without_frame
from filters.calibration.curves import calibrate, with_bins
from filters.calibration.logistic import fit_logistic
from filters.decision import Decision, Model, inputs, model_of
from filters.scores import OWN

# Few scores carry over best: p-values, cosines and margins that say the same as others cost more
# than they tell. With thirteen more, with these and without the two last ones, cross-fitted, at
# precision=.9, of real tiles kept apart .942, .937 and .935 of the kept were right and .63, .64 and
# .62 of the right ones kept (of fat and infiltrate 7, 10 and 11 of 13); of five new seeds of
# phantoms .940, .937 and .942 were right and .33, .35 and .31 of all that is drawn kept.
FEATURES = (
    CONFIDENCE,
    *OWN,
    "clip_prob",
    "clip_margin_sibling",
    "clip_margin_complement",
    "ks_d_norm",
    "ks_margin",
    "ks_rival",
    "ks_effect",
    "ks_rim",
    "geometry_area_fraction",
    "geometry_objects",
    "geometry_diameter_um",
    "geometry_solidity",
    "geometry_border_fraction",
    "geometry_outline_fraction",
    "geometry_density_mm2",
    "geometry_largest_fraction",
)
# What a segmenter says of how sure it is has no middle that is best: with squares those masks that
# it is surest of, as of muscle that fills its picture, were taken for worse than middling ones.
# Cross-fitted, at precision=.9, without these squares and `filters.batch.FRAME`, and with both: of
# real tiles kept apart .942 and .933 of the kept were right, .63 and .60 of the right ones kept; of
# mosaics .958 and .944, .76 and .70; of phantoms .913 and .911, .76 and .73.
STRAIGHT = (CONFIDENCE, *OWN)
FILLED_FROM = 0.9  # share of the picture from which on a tissue fills it
CENTER_PRIOR = 20.0  # right masks that a family counts for when a concept has few of its own
PARTS = 5  # cross-fitting
MIN_FAMILY = 60  # right and wrong masks each, below which the global model is used
MIN_CONCEPT = 4  # right and wrong masks each, below which a concept has its family's model
# A concept's model stays near its family's, and its curve is drawn from its own masks and some of
# its family's, at most as many as this: with few of its own it is judged as its family is. With 30,
# 90 and 300 borrowed, of real tiles kept apart .68, .72 and .78 of the right masks were kept at
# precision=.9, .91, .92 and .91 of the kept were right; of phantoms .71, .77 and .80, and .92, .93
# and .90 (each before probabilities kept away from the ends of the curve).
CONCEPT_RIDGE = 20.0
CONCEPT_HELD = 2.0
BORROWED = 90.0
# Sources of more than this share of the masks are split by group; others are left out whole, so
# that what is measured is how scores carry over to pictures of other laboratories.
LARGE_SOURCE = 0.3
MADE = {"phantoms", "mosaics"}  # no laboratory's: split by group, too


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
    straight: Sequence[str] = STRAIGHT,
    filled_from: float | None = FILLED_FROM,
) -> Fitted:
    """Fit everything on candidates with a known answer.

    Args:
        table: see `filters.calibration.candidates.score_tiles`.
        weight: float64 (n,), how much each candidate counts in learning to tell right from wrong.
        frequency: float64 (n,), how many masks of a run each stands for: probabilities and
            thresholds rest on these.
        sources: names of the labelled data, for the file.
        features: scores to use.
        straight: those of them whose squares are not used.
        filled_from: see `filters.batch.without_frame`.

    Raises:
        Refused: only right or only wrong masks.
    """
    batch = read_batch(table)
    right = np.array(table["right"].to_pylist(), bool)
    segmenters = tuple(sorted(set(batch.segmenter) - {"planted"}))
    names = tuple(features)
    scores = model_scores(batch, names, segmenters)
    scores = without_frame(scores, names, batch, filled_from)
    curved = np.tile(~np.isin(names, straight), 2)
    part = parts(table)

    def learned(rows: np.ndarray) -> tuple[dict[str, np.ndarray], dict[str, Model], np.ndarray]:
        # What is usual is learned from the same masks as the models.
        centers = usual(inputs_of(scores, names), batch, right & rows)
        x = inputs(scores, names, centers, batch.judged, batch.family)
        return centers, _models(batch, x, right, weight, rows, curved), x

    centers, models, _ = learned(np.ones(len(right), bool))
    logit = np.full(len(right), np.nan)
    for k in range(PARTS):
        held = part == k
        if held.any():
            _, fitted, x = learned(~held)
            for name in sorted(set(batch.judged[held])):
                rows = held & (batch.judged == name)
                logit[rows] = model_of(fitted, name, batch.family[rows][0]).logit(x[rows])
    levels = _levels(batch, frequency, models)
    calibrations, probability = {}, np.full(len(logit), np.nan)
    for name, (own, shares) in levels.items():
        calibrations[name] = dataclasses.replace(
            calibrate(logit[shares > 0], right[shares > 0], shares[shares > 0]),
            right=int(right[own].sum()),
            wrong=int((~right[own]).sum()),
        )
        for k in range(PARTS):
            seen, held = (shares > 0) & (part != k), own & (part == k)
            if held.any() and seen.any():
                fitted_map = calibrate(logit[seen], right[seen], shares[seen])
                probability[held] = fitted_map.probability(logit[held])
        calibrations[name] = with_bins(
            calibrations[name], probability[own], right[own], frequency[own]
        )
    decision = Decision(
        names, segmenters, centers, models, calibrations, tuple(sources), filled_from
    )
    return Fitted(decision, logit, probability)


def _models(
    batch: Batch,
    x: np.ndarray,
    right: np.ndarray,
    weight: np.ndarray,
    rows: np.ndarray,
    curved: np.ndarray,
) -> dict[str, Model]:
    """The model of all masks, of every family near it, and of every concept near its family's.

    Args:
        batch: the candidates.
        x: float64 (n, f), see `filters.decision.inputs`.
        right: bool (n,).
        weight: float64 (n,).
        rows: bool (n,), those to learn from.
        curved: bool (f,), inputs whose squares are used.
    """
    models = {"global": fit_logistic(x[rows], right[rows], weight[rows], curved)}
    for name in sorted(set(batch.family)):
        mine = rows & (batch.family == name)
        if _enough(right[mine], MIN_FAMILY):
            models[name] = fit_logistic(
                x[mine], right[mine], weight[mine], curved, models["global"]
            )
    for name in sorted(set(batch.judged[rows])):
        mine = rows & (batch.judged == name)
        family = batch.family[mine][0]
        alone = not (rows & (batch.family == family) & ~mine).any()
        near = models.get(family, models["global"])
        if not alone and _enough(right[mine], MIN_CONCEPT):
            models[f"concept:{name}"] = fit_logistic(
                x[mine], right[mine], weight[mine], curved, near, CONCEPT_RIDGE, CONCEPT_HELD
            )
    return models


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


def parts(table: pa.Table) -> np.ndarray:
    """Part 0..PARTS-1 of every candidate, int64 (n,): one for a group, and for a small source.

    Args:
        table: with the columns `source` and `group`.
    """
    source = np.array(table["source"].to_pylist(), str)
    group = np.array(table["group"].to_pylist(), str)
    large = {name for name in set(source) if np.mean(source == name) > LARGE_SOURCE} | MADE
    unit = [f"{s}/{g}" if s in large else s for s, g in zip(source, group, strict=True)]
    names, index = np.unique(unit, return_inverse=True)
    return np.arange(len(names))[index] % PARTS


def _enough(right: np.ndarray, least: int) -> bool:
    return min(int(right.sum()), int((~right).sum())) >= least


def _levels(
    batch: Batch, frequency: np.ndarray, models: dict[str, Model]
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Per level its own masks, bool (n,), and for how many masks each counts, float64 (n,)."""
    levels = {"global": (np.ones(len(frequency), bool), frequency)}
    for name in sorted(set(batch.family)):
        own = batch.family == name
        if name in models:
            levels[f"family:{name}"] = (own, np.where(own, frequency, 0.0))
    for name in sorted(set(batch.judged)):
        own = batch.judged == name
        family = batch.family[own][0]
        kin = ~own & ((batch.family == family) | (family not in models))
        count = BORROWED**2 / (BORROWED + float(frequency[own].sum()))
        lent = min(1.0, count / max(float(frequency[kin].sum()), 1e-9))
        levels[f"concept:{name}"] = (own, np.where(own, frequency, lent * frequency * kin))
    return levels
