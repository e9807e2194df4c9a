"""Weighted ridge logistic regression: the form of the decision's models."""

from __future__ import annotations

import numpy as np

from filters.decision import Model, expand
from miner.core.errors import Refused

RIDGE = 12.0  # of the penalty on squared weights; 6 to 25 give the same AUROC to .002


def fit_logistic(
    x: np.ndarray,
    right: np.ndarray,
    weight: np.ndarray,
    curved: np.ndarray | None = None,
    prior: Model | None = None,
    ridge: float = RIDGE,
    held: float = 1e-6,
) -> Model:
    """Weighted ridge logistic regression on standardised features and their squares.

    Args:
        x: float64 (n, f), NaN where undefined.
        right: bool (n,).
        weight: float64 (n,).
        curved: bool (f,), features whose squares are used; all when None.
        prior: weights are drawn towards those of this model, and standardised as it does; towards
            0 when None.
        ridge: of the penalty on the squared distance from there.
        held: the same for the intercept.

    Raises:
        Refused: only one class.
    """
    if right.all() or not right.any():
        raise Refused("--masks: all candidates are right, or all are wrong; nothing to learn")
    if prior is None:
        mean, scale = moments(x, weight)
        anchor = np.zeros(3 * x.shape[1] + 1)
    else:
        mean, scale = prior.mean, prior.scale
        anchor = np.concatenate([prior.weight, prior.square, prior.missing, [prior.intercept]])
    design = np.concatenate([expand(x, mean, scale), np.ones((len(x), 1))], axis=1)
    if curved is not None:
        design[:, x.shape[1] : 2 * x.shape[1]] *= curved
    penalty = np.full(design.shape[1], ridge)
    penalty[-1] = held
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


def moments(x: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weighted mean and deviation of the defined values, float64 (f,) each; deviations > 0."""
    defined = np.isfinite(x)
    share = np.where(defined, weight[:, None], 0.0)
    total = np.maximum(share.sum(axis=0), 1e-9)
    filled = np.where(defined, x, 0.0)
    mean = (share * filled).sum(axis=0) / total
    scale = np.sqrt((share * (filled - mean) ** 2).sum(axis=0) / total)
    return mean, np.where(scale > 1e-9, scale, 1.0)
