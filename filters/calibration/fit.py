"""Fits the decision model: logistic regression per family, isotonic maps, thresholds.

Everything is cross-fitted: the log odds on which the isotonic map, the thresholds and all figures
rest come from models that never saw the tile's group.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from filters.decide import Batch, model_scores, read_batch
from filters.decision import Calibration, Decision, Model, expand, inputs
from miner.errors import Refused

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
RIDGE = 12.0  # of the penalty on squared weights; 6 to 25 give the same AUROC to .002
PARTS = 5  # cross-fitting
MIN_FAMILY = 60  # right and wrong masks each, below which the global model is used
MIN_CONCEPT = 80.0  # right and wrong masks of a run each, for a calibration of a concept's own
CURVE = 200  # points of a precision curve
BINS = 10  # of a reliability curve


def fit_logistic(
    x: np.ndarray, right: np.ndarray, weight: np.ndarray, prior: Model | None = None
) -> Model:
    """Weighted ridge logistic regression on standardised features and their squares.

    Args:
        x: float64 (n, f), NaN where undefined.
        right: bool (n,).
        weight: float64 (n,).
        prior: weights are drawn towards those of this model, and standardised as it does; towards
            0 when None.

    Raises:
        Refused: only one class.
    """
    if right.all() or not right.any():
        raise Refused("--masks: all candidates are right, or all are wrong; nothing to learn")
    if prior is None:
        mean, scale = _moments(x, weight)
        anchor = np.zeros(3 * x.shape[1] + 1)
    else:
        mean, scale = prior.mean, prior.scale
        anchor = np.concatenate([prior.weight, prior.square, prior.missing, [prior.intercept]])
    design = np.concatenate([expand(x, mean, scale), np.ones((len(x), 1))], axis=1)
    penalty = np.full(design.shape[1], RIDGE)
    penalty[-1] = 1e-6
    beta, target = anchor.copy(), right.astype(float)

    def loss(beta: np.ndarray) -> float:
        z = design @ beta
        misfit = weight @ (np.logaddexp(0, z) - target * z)
        return float(misfit + penalty @ (beta - anchor) ** 2 / 2)

    now = loss(beta)
    for _ in range(50):
        p = 1 / (1 + np.exp(-np.clip(design @ beta, -30, 30)))
        gradient = design.T @ (weight * (p - target)) + penalty * (beta - anchor)
        curvature = (design * (weight * p * (1 - p))[:, None]).T @ design + np.diag(penalty)
        step = np.linalg.solve(curvature, gradient)
        # A full Newton step can overshoot where most masks are already told apart.
        while loss(beta - step) > now and float(np.abs(step).max()) > 1e-9:
            step = step / 2
        beta = beta - step
        now = loss(beta)
        if float(np.abs(step).max()) < 1e-8:
            break
    f = x.shape[1]
    return Model(mean, scale, beta[:f], beta[f : 2 * f], beta[2 * f : 3 * f], float(beta[-1]))


def _moments(x: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weighted mean and deviation of the defined values, float64 (f,) each; deviations > 0."""
    defined = np.isfinite(x)
    share = np.where(defined, weight[:, None], 0.0)
    total = np.maximum(share.sum(axis=0), 1e-9)
    filled = np.where(defined, x, 0.0)
    mean = (share * filled).sum(axis=0) / total
    scale = np.sqrt((share * (filled - mean) ** 2).sum(axis=0) / total)
    return mean, np.where(scale > 1e-9, scale, 1.0)


def isotonic(x: np.ndarray, y: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weighted monotone regression by pooling adjacent violators.

    Args:
        x: float64 (n,).
        y: float64 (n,).
        weight: float64 (n,), positive.

    Returns:
        Mean x and mean y of every pool, float64 (k,), both ascending.
    """
    order = np.argsort(x, kind="stable")
    pools: list[list[float]] = []  # sum of weights, of weighted x, of weighted y
    for i in order:
        pools.append([weight[i], weight[i] * x[i], weight[i] * y[i]])
        while len(pools) > 1 and pools[-2][2] * pools[-1][0] >= pools[-1][2] * pools[-2][0]:
            last = pools.pop()
            pools[-1] = [a + b for a, b in zip(pools[-1], last, strict=True)]
    total = np.array(pools)
    return total[:, 1] / total[:, 0], total[:, 2] / total[:, 0]


def calibrate(logit: np.ndarray, right: np.ndarray, weight: np.ndarray) -> Calibration:
    """Map log odds to probabilities and list what every threshold gives.

    Probabilities keep away from 0 and 1 by one observation: nothing is certain after n masks.

    Args:
        logit: float64 (n,), cross-fitted.
        right: bool (n,).
        weight: float64 (n,), how many masks of a run each stands for.
    """
    x, y = isotonic(logit, right.astype(float), weight)
    n = float(weight.sum())
    y = np.clip(y, 1 / (n + 2), 1 - 1 / (n + 2))
    # Beyond the mean of the last pool half of its doubt is left at the far end: a flat end would
    # give its best and its worst mask one score.
    low, high = float(logit.min()), float(logit.max())
    ends = [(low, y[0] / 2)] if low < x[0] else []
    tail = [(high, 1 - (1 - y[-1]) / 2)] if high > x[-1] else []
    points = [*ends, *zip(x, y, strict=True), *tail]
    x, y = (np.array(values, float) for values in zip(*points, strict=True))
    probability = np.interp(logit, x, y)
    order = np.argsort(-probability, kind="stable")
    ranked = probability[order]
    good = np.cumsum((weight * right)[order])
    bad = np.cumsum((weight * ~right)[order])
    last = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    if len(last) > CURVE:
        last = last[np.unique(np.linspace(0, len(last) - 1, CURVE).astype(int))]
    precision = good[last] / (good[last] + bad[last] + 1)
    return Calibration(
        x=x,
        y=y,
        threshold=ranked[last],
        precision=precision,
        kept=good[last] / max(float(good[-1]), 1e-9),
        leaked=bad[last] / max(float(bad[-1]), 1e-9),
        predicted=np.empty(0),
        observed=np.empty(0),
        count=np.empty(0),
        right=int(right.sum()),
        wrong=int((~right).sum()),
    )


def with_bins(
    one: Calibration, probability: np.ndarray, right: np.ndarray, weight: np.ndarray
) -> Calibration:
    """Add how probabilities of held-out masks compare with what they turned out to be.

    Args:
        one: the calibration.
        probability: float64 (n,), held out.
        right: bool (n,).
        weight: float64 (n,), how many masks of a run each stands for.
    """
    bins = np.minimum((probability * BINS).astype(int), BINS - 1)
    count = np.bincount(bins, weight, BINS)
    filled = count > 0
    return dataclasses.replace(
        one,
        predicted=np.bincount(bins, weight * probability, BINS)[filled] / count[filled],
        observed=np.bincount(bins, weight * right, BINS)[filled] / count[filled],
        count=count[filled],
    )


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
        return centers, inputs(scores, names, centers, batch.concept, batch.family)

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
    for name in sorted(set(batch.concept[right])):
        rows = right & (batch.concept == name)
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
    for name in sorted(set(batch.concept)):
        rows = batch.concept == name
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


def auroc(score: np.ndarray, right: np.ndarray) -> float:
    """Area under the ROC curve, ties counted half; NaN with one class."""
    good, bad = score[right], np.sort(score[~right])
    if not len(good) or not len(bad):
        return float("nan")
    below = np.searchsorted(bad, good, side="left")
    at = np.searchsorted(bad, good, side="right") - below
    return float((below + at / 2).mean() / len(bad))
