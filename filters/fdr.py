"""False-discovery rate: what share of the accepted masks is expected to be wrong (IoU < .5).

Two estimates, of which the larger governs:

1. Expected share: the mean of 1 - p over the accepted, p calibrated on labelled data. It assumes
   that this run's masks are wrong in the ways, and about as often at a given score, as those of
   the calibration (Efron 2008, doi:10.1214/07-STS236: the local rate averages to the tail rate).
2. Target-decoy, as in proteomics (Elias and Gygi 2007, doi:10.1038/nmeth1019): phrases that cannot
   be in the picture go through the same segmenter and filters; the decoys above a threshold show
   how many wrong concepts pass there. One is added to their count (Levitsky et al. 2017,
   doi:10.1021/acs.jproteome.6b00144), without which small sets look better than they are. It
   assumes that a wrong phrase scores like a decoy, and that decoys took no part in fitting. All
   targets are taken as possibly wrong, so the estimate errs upwards. Decoys model wrong concepts,
   not wrong outlines: that part only the first estimate sees.

With fewer decoys than 1 / nominal the +1 alone exceeds the nominal rate: then the second estimate
cannot be made, which `Estimate.decoys_enough` states, and the first stands alone.

Whether decoys estimate anything is itself checked by entrapment (Wen et al. 2025, "Assessment of
false discovery rate control in tandem mass spectrometry analysis using entrapment", Nature Methods
22): phrases that are known to be wrong but stand among the targets must be accepted no more often
than the stated rate says.
"""

from __future__ import annotations

import dataclasses
from collections import Counter

import numpy as np

FAMILY_DECOYS = 50  # a family with this many decoys gets an estimate of its own
DEFAULT_NOMINAL = 0.1  # for runs that state a precision: enough decoys are counted for this rate


@dataclasses.dataclass(frozen=True)
class Estimate:
    """Rates per candidate, and whether decoys could be used.

    Attributes:
        q: float64 (n,), the governing q-value; NaN for candidates that compete for nothing.
        expected: float64 (n,), the first estimate as q-value.
        decoy: float64 (n,), the second, NaN where it could not be made.
        decoys: number of decoys.
        decoys_enough: whether they suffice.
    """

    q: np.ndarray
    expected: np.ndarray
    decoy: np.ndarray
    decoys: int
    decoys_enough: bool


def expected_q(probability: np.ndarray) -> np.ndarray:
    """Smallest expected share of wrong masks among any accepted set that includes the candidate.

    Args:
        probability: float64 (n,), that the mask is right.

    Returns:
        float64 (n,). Candidates of one probability are accepted together.
    """
    order = np.argsort(-probability, kind="stable")
    ranked = probability[order]
    rate = np.cumsum(1 - ranked) / np.arange(1, len(ranked) + 1)
    return _spread(rate, ranked, order)


def target_decoy_q(
    target: np.ndarray, decoy: np.ndarray, asked_targets: int, asked_decoys: int
) -> np.ndarray:
    """q-values of targets by counting decoys.

    Args:
        target: float64 (n,), scores of the targets that can be accepted.
        decoy: float64 (m,), scores of the decoys that could have been accepted as well.
        asked_targets: phrases asked for, whether a mask came back or not.
        asked_decoys: decoy phrases asked for, at least 1.

    Returns:
        float64 (n,): (asked_targets / asked_decoys) (1 + decoys at or above) / targets at or
        above, made monotone, at most 1.
    """
    order = np.argsort(-target, kind="stable")
    ranked = target[order]
    above = len(decoy) - np.searchsorted(np.sort(decoy), ranked, side="left")
    # Targets of one score count together, the last of them has the right number.
    count = len(ranked) - np.searchsorted(ranked[::-1], ranked, side="left")
    rate = asked_targets / asked_decoys * (1 + above) / np.maximum(count, 1)
    return np.minimum(_spread(rate, ranked, order), 1.0)


def _spread(rate: np.ndarray, ranked: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Running minimum from the lowest score upwards, equal scores alike, in the caller's order."""
    q = np.empty(len(rate))
    if len(rate):
        # The last of equal scores stands for all of them.
        last = len(ranked) - 1 - np.searchsorted(ranked[::-1], ranked, side="left")
        tied = rate[last]
        q[order] = np.minimum.accumulate(tied[::-1])[::-1]
    return q


def estimate(
    probability: np.ndarray,
    family: np.ndarray,
    is_target: np.ndarray,
    is_decoy: np.ndarray,
    passed: np.ndarray,
    nominal: float | None,
) -> Estimate:
    """Estimate both rates for all candidates of a run.

    Args:
        probability: float64 (n,), calibrated; NaN without a mask.
        family: object (n,), concept family.
        is_target: bool (n,), asked because a caption affirms it, and supported by a segmenter.
        is_decoy: bool (n,), asked as a decoy, and supported by a segmenter.
        passed: bool (n,), has a mask that every other filter lets pass.
        nominal: wanted rate; None counts decoys for `DEFAULT_NOMINAL`.
    """
    n = len(probability)
    needed = int(np.ceil(1 / (nominal or DEFAULT_NOMINAL)))
    q, expected, decoy = np.full(n, np.nan), np.full(n, np.nan), np.full(n, np.nan)
    targets = is_target & passed
    expected[targets] = expected_q(probability[targets])

    enough = int(is_decoy.sum()) >= needed
    if enough:
        counts = Counter(family[is_decoy].tolist())
        own = sorted(n for n, count in counts.items() if count >= max(FAMILY_DECOYS, needed))
        pools = [family == name for name in own]
        pools.append(~np.logical_or.reduce([*pools, np.zeros(n, bool)]))
        for i, pool in enumerate(pools):
            # Families without enough decoys borrow those of all families.
            lent = pool if i < len(own) else np.ones(n, bool)
            asked = is_target & lent
            score = probability[targets & lent]
            values = target_decoy_q(
                score,
                probability[is_decoy & passed & lent],
                int(asked.sum()),
                int((is_decoy & lent).sum()),
            )
            spread = np.full(n, np.nan)
            spread[targets & lent] = values
            decoy[targets & pool] = spread[targets & pool]
    q[targets] = np.fmax(expected[targets], decoy[targets])
    return Estimate(q, expected, decoy, int(is_decoy.sum()), enough)


@dataclasses.dataclass(frozen=True)
class Entrapment:
    """How many phrases that are known to be wrong the second estimate let through.

    Attributes:
        asked: wrong phrases that stood among the targets.
        accepted: those whose q-value by decoys was at most the nominal rate.
        least: their share among all accepted, 0..1; NaN with nothing accepted or no traps. Above
            the nominal rate the estimate has failed.
        most: the share of wrong concepts if the other targets were as often wrong as the traps are,
            0..1: at or below the nominal rate the estimate has held whatever the targets are.
    """

    asked: int
    accepted: int
    least: float
    most: float


def entrapment(
    probability: np.ndarray,
    family: np.ndarray,
    is_target: np.ndarray,
    is_decoy: np.ndarray,
    passed: np.ndarray,
    nominal: float | None,
    is_trap: np.ndarray | None = None,
) -> Entrapment:
    """Check the second estimate; see `estimate` for the other arguments.

    Args:
        probability: float64 (n,).
        family: object (n,).
        is_target: bool (n,).
        is_decoy: bool (n,).
        passed: bool (n,).
        nominal: rate; `DEFAULT_NOMINAL` when None.
        is_trap: bool (n,), targets that are known to be wrong. When None every second decoy is
            one: that checks the counting, not whether decoys resemble wrong targets.
    """
    if is_trap is None:
        is_trap = np.zeros(len(is_decoy), bool)
        is_trap[np.flatnonzero(is_decoy)[1::2]] = True
    rate = nominal or DEFAULT_NOMINAL
    targets = is_target | is_trap
    found = estimate(probability, family, targets, is_decoy & ~is_trap, passed, rate)
    with np.errstate(invalid="ignore"):
        accepted = found.decoy <= rate
    asked, caught = int(is_trap.sum()), int((accepted & is_trap).sum())
    if not asked or not accepted.any():
        return Entrapment(asked, caught, float("nan"), float("nan"))
    others = int((targets & ~is_trap).sum())
    least = caught / int(accepted.sum())
    return Entrapment(asked, caught, least, min(1.0, least * (1 + others / asked)))
