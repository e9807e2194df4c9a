"""Figures of some judged regions, with intervals that hold for regions that err together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from miner.audit.intervals import share
from miner.evaluate.regions import RIGHT_IOU, Judged

RESAMPLES = 1000
IOUS = (0.5, 0.6, 0.7, 0.75, 0.8, 0.9)
SCORES = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)


def bootstrap(
    groups: Sequence[str], above: Sequence[float], below: Sequence[float]
) -> tuple[float, float] | None:
    """95% interval of sum(above) / sum(below) when groups are drawn anew (B. Efron, 1979).

    Args:
        groups: what errs together: slides, articles, videos.
        above: of the fraction, per region.
        below: likewise.

    Returns:
        The percentiles 2.5 and 97.5 of 1,000 draws; None with fewer than two groups, for one tells
        nothing about the spread.
    """
    names, at = np.unique(np.asarray(groups), return_inverse=True)
    if len(names) < 2:
        return None
    top, base = np.bincount(at, above), np.bincount(at, below)
    rng = np.random.default_rng(0)
    times = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), RESAMPLES)
    bases = times @ base
    known = bases > 0
    if not known.any():
        return None
    low, high = np.percentile((times @ top)[known] / bases[known], [2.5, 97.5])
    return float(low), float(high)


def row(found: Sequence[Judged]) -> dict[str, Any]:
    """Figures of some regions.

    Returns:
        mined, judged, groups; dice, iou (means), with bootstrap intervals by group in `…_between`;
        precision (share with IoU >= .5) with the interval of `miner.audit.intervals`, for
        a bootstrap of a share that is near 1 is too narrow; objects: see `objects`. None where
        nothing could be judged.
    """
    known = [j for j in found if j.iou is not None]
    right = [float(bool(j.right)) for j in known]
    groups = [j.group for j in known]
    precision = share(right, [1.0] * len(known), groups, [""] * len(known))
    return {
        "mined": len(found),
        "judged": len(known),
        "groups": precision.groups,
        **_mean("dice", groups, [j.dice or 0.0 for j in known]),
        **_mean("iou", groups, [j.iou or 0.0 for j in known]),
        "precision": _share(sum(right), len(known)),
        "precision_low": round(precision.low, 4) if known else None,
        "precision_high": round(precision.high, 4) if known else None,
        "objects": objects(known),
    }


def objects(found: Sequence[Judged]) -> dict[str, Any] | None:
    """Panoptic quality and aggregated Jaccard index, of sums over pictures; None without objects.

    Returns:
        outlined, mined, hits; dq, sq, pq (A. Kirillov et al., CVPR 2019) and aji (N. Kumar et al.,
        IEEE TMI 2017), pq and aji with bootstrap intervals by group in `…_between`.
    """
    some = [(j.group, j.objects) for j in found if j.objects is not None]
    if not some:
        return None
    groups = [group for group, _ in some]
    either = [(o.mined + o.outlined) / 2 for _, o in some]  # hits, and half of each kind of error
    hits, total = sum(o.hits for _, o in some), sum(either)
    iou = [o.iou for _, o in some]
    inside, union = [o.intersection for _, o in some], [o.union for _, o in some]
    return {
        "outlined": sum(o.outlined for _, o in some),
        "mined": sum(o.mined for _, o in some),
        "hits": hits,
        "dq": _share(hits, total),
        "sq": _share(sum(iou), hits),
        "pq": _share(sum(iou), total),
        "pq_between": _between(groups, iou, either),
        "aji": _share(sum(inside), sum(union)),
        "aji_between": _between(groups, inside, union),
    }


def by_threshold(found: Sequence[Judged], outlined: int | None) -> dict[str, list[dict[str, Any]]]:
    """Precision and recall where other thresholds are drawn.

    Args:
        found: regions.
        outlined: structures that were asked for and that experts outlined; None where unknown.

    Returns:
        `iou`: a region is right from this IoU on; `score`: only regions from this score on count,
        right from an IoU of .5 on. Rows of {at, judged, precision, recall}.
    """
    known = [j for j in found if j.iou is not None]

    def line(at: float, some: Sequence[Judged], iou: float) -> dict[str, Any]:
        hits = sum((j.iou or 0) >= iou for j in some)
        return {
            "at": at,
            "judged": len(some),
            "precision": _share(hits, len(some)),
            "recall": None if outlined is None else _share(hits, outlined),
        }

    return {
        "iou": [line(at, known, at) for at in IOUS],
        "score": [line(at, [j for j in known if (j.score or 0) >= at], RIGHT_IOU) for at in SCORES],
    }


def _mean(
    name: str, groups: Sequence[str], values: Sequence[float]
) -> dict[str, float | list[float] | None]:
    return {
        name: _share(sum(values), len(values)),
        f"{name}_between": _between(groups, values, [1.0] * len(values)),
    }


def _share(above: float, below: float) -> float | None:
    return round(above / below, 4) if below else None


def _between(
    groups: Sequence[str], above: Sequence[float], below: Sequence[float]
) -> list[float] | None:
    found = bootstrap(groups, above, below)
    return None if found is None else [round(v, 4) for v in found]
