"""Shares with intervals that hold under unequal weights and masks that err together.

The variance is that of the stratified estimator with groups (slides, articles, videos) as ultimate
clusters; it gives an effective number of judgements, never more than were made, and the interval is
Jeffreys' for that number (E. Korn and B. Graubard, Survey Methodology 1998, with Jeffreys in the
place of Clopper and Pearson). Chosen by simulation: over precision .5 to .99, 100 to 400
judgements and correlations within groups of 0 to .15, 400 audits of each of 54 kinds, the 95%
interval covered the truth in 97.4%, in no kind in less than 94.7%. In an earlier comparison
Wilson's covered 97.1% (92.7%), Clopper and Pearson's 98.1% (95.3%) where Jeffreys' did 97.2%
(92.7%; `python -m tests.bench.audit`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from scipy import special

LEVEL = 0.95
FREEDOM = 8  # degrees of freedom at least: a concept in two slides is not known to nothing


@dataclasses.dataclass(frozen=True)
class Share:
    """An estimated share.

    Attributes:
        n: judgements.
        groups: distinct groups among them.
        estimate: weighted share, 0 to 1; None without judgements.
        low: lower end of the interval; 0 without judgements.
        high: upper end; 1 without judgements.
        effective: judgements that as many independent, equally weighted ones are worth.
    """

    n: int
    groups: int
    estimate: float | None
    low: float
    high: float
    effective: float

    @property
    def more(self) -> int | None:
        """Further judgements until the interval is about .03 either way; None without any."""
        if self.estimate is None or self.effective <= 0:
            return None
        p = min(max(self.estimate, 0.02), 0.98)  # none wrong among few does not mean never wrong
        needed = (1.96 / 0.03) ** 2 * p * (1 - p)
        return max(0, int(np.ceil((needed - self.effective) * self.n / self.effective)))


def share(
    right: Sequence[float],
    weights: Sequence[float],
    groups: Sequence[str],
    strata: Sequence[str],
    level: float = LEVEL,
) -> Share:
    """Estimate a share.

    Args:
        right: 0 to 1 per judgement.
        weights: masks that the judged one stands for, > 0.
        groups: what errs together.
        strata: of the draw.
        level: of the two-sided interval.
    """
    y, w = np.asarray(right, float), np.asarray(weights, float)
    n = len(y)
    if n == 0:
        return Share(0, 0, None, 0.0, 1.0, 0.0)
    found, group = np.unique(np.asarray(groups), return_inverse=True)
    effective = _effective(y, w, group, np.unique(np.asarray(strata), return_inverse=True)[1])
    p = float((w * y).sum() / w.sum())
    low, high = jeffreys(p, effective, level)
    return Share(n, len(found), p, low, high, effective)


def _effective(y: np.ndarray, w: np.ndarray, group: np.ndarray, stratum: np.ndarray) -> float:
    n, clusters, total = len(y), int(group.max()) + 1, w.sum()
    p = float((w * y).sum() / total)
    simple = p * (1 - p) / n
    means = np.bincount(stratum, w * y) / np.bincount(stratum, w)
    per_group = np.bincount(group, w * (y - means[stratum]) / total)
    spare = max(n - (int(stratum.max()) + 1), 1)
    variance = (per_group**2).sum() * clusters / max(clusters - 1, 1) * n / spare
    kish = n * (w**2).sum() / total**2  # what unequal weights alone cost
    deff = variance / simple if simple > 0 and variance > 0 else kish
    # Few groups make the variance itself uncertain.
    normal, student = special.ndtri(0.975), special.stdtrit(max(clusters - 1, FREEDOM), 0.975)
    return float(min(n / max(deff, 1.0) * (normal / student) ** 2, n))


def jeffreys(p: float, n: float, level: float = LEVEL) -> tuple[float, float]:
    """Jeffreys' interval of a share of `n` judgements, which need not be a whole number."""
    right, a = p * n, (1 - level) / 2
    low = 0.0 if right <= 0 else float(special.betaincinv(right + 0.5, n - right + 0.5, a))
    high = 1.0 if right >= n else float(special.betaincinv(right + 0.5, n - right + 0.5, 1 - a))
    return low, high
