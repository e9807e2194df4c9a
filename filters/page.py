"""What the calibration page of the report is drawn from: `report/calibration.json`."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from scipy.stats import binom

from filters import fdr
from filters.config import FilterConfig
from filters.decide import PASSED, Judged, after_target, cached_decision, check_fdr, limits, reasons
from filters.decision import Calibration, Decision

BINS = 20
VERSION = 1


def calibration_page(
    judged: Judged, estimate: fdr.Estimate, accepted_from: float, config: FilterConfig
) -> dict[str, Any]:
    """Collect everything the page shows.

    Args:
        judged: all candidates of a run.
        estimate: of these, see `filters.decide.estimate_fdr`.
        accepted_from: of these, see the function of that name in `filters.decide`.
        config: of the filters.

    Returns:
        version; target: [what, value] or null; sources of the labelled data; calibrations: per
        level its reliability (predicted, observed, count per bin of held-out masks), threshold,
        precision and kept per threshold, roc, right, wrong; fdr: decoys, decoys_enough,
        expected and decoy rate among the accepted, how many of them are right (expected, and the
        least and most of a 95% interval), entrapment check, which governs; histograms:
        edges, and counts of target, accepted, decoy and negated scores; levels: how many
        candidates each judged; limits: by level the score from which on masks are accepted, null
        where none reaches what was asked for.
    """
    decision = cached_decision(config.decision)
    score = judged.score.round(6)
    keep = reasons(judged, after_target(judged, estimate.q, accepted_from, config)) == PASSED
    check = check_fdr(judged, config)
    edges = np.linspace(0, 1, BINS + 1)
    groups = {
        "target": judged.positive & judged.has_mask,
        "accepted": keep,
        "decoy": judged.decoy & judged.has_mask,
        "negated": judged.has_mask & ~judged.positive & ~judged.decoy,
    }
    expected = float(np.mean(1 - score[keep])) if keep.any() else None
    decoy = float(np.nanmax(estimate.decoy[keep])) if _any(estimate.decoy[keep]) else None
    levels = Counter(judged.level[judged.has_mask].tolist())
    return {
        "version": VERSION,
        "target": list(config.target) if config.target else None,
        "sources": list(decision.sources),
        "calibrations": {name: _curve(one) for name, one in decision.calibrations.items()},
        "fdr": {
            "accepted": int(keep.sum()),
            "decoys": estimate.decoys,
            "decoys_enough": estimate.decoys_enough,
            "expected": _rounded(expected),
            "decoy": _rounded(decoy),
            "right": None if expected is None else _right(1 - expected, int(keep.sum())),
            "entrapment": {
                "asked": check.asked,
                "accepted": check.accepted,
                "least": _rounded(check.least if np.isfinite(check.least) else None),
                "most": _rounded(check.most if np.isfinite(check.most) else None),
            },
            "governs": "decoy" if decoy is not None and decoy > (expected or 0) else "expected",
        },
        "histograms": {
            "edges": edges.round(6).tolist(),
            **{n: np.histogram(score[rows], edges)[0].tolist() for n, rows in groups.items()},
        },
        "levels": dict(sorted(levels.items())),
        "limits": _limits(decision, config, accepted_from),
    }


def _limits(
    decision: Decision, config: FilterConfig, accepted_from: float
) -> dict[str, float | None]:
    if config.target is None:
        return {}
    what, value = config.target
    found = (
        limits(decision, value)
        if what == "precision"
        else dict.fromkeys(decision.calibrations, accepted_from)
    )
    return {name: _rounded(one) if np.isfinite(one) else None for name, one in found.items()}


def _right(precision: float, accepted: int) -> dict[str, int]:
    """How many of the accepted masks are right: expected, least and most in 95 of 100 such runs.

    Masks that are right by probabilities of their own spread no wider than a binomial of the mean.
    """
    least, most = binom.interval(0.95, accepted, precision)
    return {"expected": round(precision * accepted), "least": int(least), "most": int(most)}


def _curve(one: Calibration) -> dict[str, Any]:
    return {
        "reliability": {
            "predicted": one.predicted.round(4).tolist(),
            "observed": one.observed.round(4).tolist(),
            "count": one.count.astype(int).tolist(),
        },
        "threshold": one.threshold.round(4).tolist(),
        "precision": one.precision.round(4).tolist(),
        "kept": one.kept.round(4).tolist(),
        "roc": {
            "false_positive_rate": [0.0, *one.leaked.round(4).tolist(), 1.0],
            "true_positive_rate": [0.0, *one.kept.round(4).tolist(), 1.0],
        },
        "right": one.right,
        "wrong": one.wrong,
    }


def _any(values: np.ndarray) -> bool:
    return bool(np.isfinite(values).any())


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
