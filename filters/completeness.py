"""What the kept and the rejected masks say of all that a picture shows, from their scores.

A pure function of the stored scores, as verdicts are: whether a concept is there at all, whether
its mask covers all of it, and how many objects there are. What was not measured is null, with why.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from filters.batch import Batch, model_scores, read_batch
from filters.config import FilterConfig
from filters.decide import MORE_LIKELY_RIGHT, probabilities
from filters.extent import EMBEDDED, FOUND_NOTHING, Extent, load_extent
from filters.scores import EXTENT, NOT_MEASURED
from miner.core.contents import digest
from miner.core.unit import described

UNSEEN = "unseen_segmenter"
NO_DATA = "no_labelled_data"
NOT_COUNTED = "not_told_apart"
DOUBTFUL = "more_likely_wrong"
BORROWED = "answered_as_another"
EXPERTS = "experts"
REDRAWN = "redrawn"
# Why `exhaustive` or `count` of a region is null.
WHY: Mapping[str, str] = {
    UNSEEN: "the segmenter that drew it was not measured",
    NO_DATA: "too few labelled pictures with all of the concept outlined",
    NOT_COUNTED: "a substance, or objects that are not told apart",
    DOUBTFUL: "the mask is more likely wrong than right",
    BORROWED: "the mask is that of another concept, of which there may be more",
    EXPERTS: "experts outlined it; whether all of it, is not said",
    NOT_MEASURED: "mined before this was measured",
    REDRAWN: "an auditor drew the mask anew",
}


def add_extent(candidates: pa.Table, config: FilterConfig) -> pa.Table:
    """Add what the answers say of all that there is.

    Args:
        candidates: with verdicts (`filters.decide.decide`), masks not needed.
        config: of the filters.

    Returns:
        The table with the columns of `filters.scores.EXTENT`.

    Raises:
        Refused: the file cannot be read.
    """
    extent = cached_extent(config.extent)
    batch = named_batch(candidates)
    score = _column(candidates, "score")
    presence = present(extent, batch, score)
    whole, why = covered(extent, batch)
    low, high, count_why = counted(extent, batch, score)
    count_why[borrowed(candidates)] = BORROWED
    masked = batch.has_mask
    columns = {
        "presence": pa.array(presence.round(6), pa.float64(), from_pandas=True),
        "exhaustive": pa.array(whole.round(6), pa.float64(), from_pandas=True),
        "exhaustive_why": pa.array(why, pa.string(), mask=~masked | (why == "")),
        "count_low": pa.array(low, pa.int64(), mask=~masked | (count_why != "")),
        "count_high": pa.array(high, pa.int64(), mask=~masked | (count_why != "")),
        "count_why": pa.array(count_why, pa.string(), mask=~masked | (count_why == "")),
    }
    for name, values in columns.items():
        field = described(pa.field(name, values.type), EXTENT)
        candidates = candidates.append_column(field, values)
    return candidates


def named_batch(candidates: pa.Table) -> Batch:
    """The candidates with verdicts as arrays, each judged as what it was asked for.

    A mask of epithelial nuclei that stands for tumor cells covers all tumor cells or not.
    """
    if "asked_as" in candidates.column_names:
        candidates = candidates.drop_columns(["asked_as"])
    batch = read_batch(candidates)
    # `reason` is that of the verdict by now: what has a mask has a score.
    return dataclasses.replace(batch, has_mask=np.isfinite(_column(candidates, "score")))


def borrowed(candidates: pa.Table) -> np.ndarray:
    """Whether a mask is that of another concept, of which there may be more, bool (n,)."""
    if "asked_as" not in candidates.column_names:
        return np.zeros(candidates.num_rows, bool)
    named = zip(candidates["concept"].to_pylist(), candidates["asked_as"].to_pylist(), strict=True)
    return np.array([other is not None and other != name for name, other in named], bool)


def present(extent: Extent, batch: Batch, score: np.ndarray) -> np.ndarray:
    """Probability that the concept is in the picture, float64 (n,), NaN where nobody answered.

    And where nobody measured how often this segmenter misses this very concept: that others like
    it are found says little of one that is not, and nothing of what another segmenter finds.
    """
    empty = np.array([reason == "empty" for reason in batch.given], bool)
    logit = np.where(batch.has_mask, log_odds(score), np.where(empty, FOUND_NOTHING, np.nan))
    seen = np.isfinite(logit) & np.isin(batch.segmenter.astype(str), extent.whole.segmenters)
    found = np.full(len(logit), np.nan)
    for concept in sorted(set(batch.concept) & extent.presence.keys()):
        rows = (batch.concept == concept) & seen
        one = extent.presence[concept]
        found[rows] = np.interp(logit[rows], one.x, one.y)
    # Experts saw it, or looked and saw none.
    return np.where(batch.trusted & np.isfinite(logit), batch.has_mask.astype(float), found)


def covered(extent: Extent, batch: Batch) -> tuple[np.ndarray, np.ndarray]:
    """Probability that a mask is all of its concept, float64 (n,), and why it is NaN, (n,)."""
    whole, level = probabilities(batch, extent.whole)
    why = np.full(len(whole), "", object)
    own = np.array([f"concept:{c}" for c in batch.concept], object)
    why[level != own] = NO_DATA
    why[~np.isin(batch.segmenter.astype(str), extent.whole.segmenters)] = UNSEEN
    why[batch.trusted] = EXPERTS
    why[batch.complete] = ""
    return np.where(batch.complete, 1.0, np.where(why == "", whole, np.nan)), why


def counted(
    extent: Extent, batch: Batch, score: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fewest and most objects that there are, int64 (n,), and why that cannot be said, (n,)."""
    counts = extent.counts
    scores = model_scores(batch, counts.features, extent.whole.segmenters)
    center, spread = counts.expected(scores)
    found = np.nan_to_num(batch.columns["geometry_objects"])
    why = np.full(len(found), "", object)
    bounds = np.zeros((2, len(found)))
    for concept in sorted(set(batch.concept)):
        rows = batch.concept == concept
        interval = counts.intervals.get(concept)
        if interval is None:
            why[rows] = NO_DATA
            continue
        for k, quantile in enumerate((interval.low, interval.high)):
            bounds[k, rows] = (center + quantile * spread)[rows]
    why[~(score >= MORE_LIKELY_RIGHT)] = DOUBTFUL
    why[~np.isin(batch.segmenter.astype(str), extent.whole.segmenters)] = UNSEEN
    why[batch.trusted] = EXPERTS
    why[batch.complete] = ""
    why[(batch.kind != "object") | (found < 1)] = NOT_COUNTED
    low, high = interval_of(found, bounds[0], bounds[1])
    low[batch.complete] = high[batch.complete] = found[batch.complete].astype(np.int64)
    return low, high, why


def interval_of(
    found: np.ndarray, low: np.ndarray, high: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Whole numbers between the bounds, at least what was found among them: int64 (n,) each.

    Args:
        found: float64 (n,), objects found.
        low: float64 (n,), lower bound of log((true + .5) / (found + .5)).
        high: float64 (n,), the upper one.
    """
    least = np.ceil((found + 0.5) * np.exp(low) - 0.5 - 1e-9)
    most = np.floor((found + 0.5) * np.exp(high) - 0.5 + 1e-9)
    return (
        np.clip(np.minimum(least, found), 0, None).astype(np.int64),
        np.maximum(most, found).astype(np.int64),
    )


def log_odds(score: np.ndarray) -> np.ndarray:
    """Log odds of probabilities, float64 (n,), within -12..12."""
    inside = np.clip(score, 1e-6, 1 - 1e-6)
    return np.clip(np.log(inside / (1 - inside)), -12.0, 12.0)


def _column(table: pa.Table, name: str) -> np.ndarray:
    return np.array([np.nan if v is None else v for v in table[name].to_pylist()], float)


def cached_extent(path: str) -> Extent:
    """`load_extent`, once per content of the file."""
    file = EMBEDDED if path == "embedded" else path
    return _loaded(path, digest({"": str(file)}, "filters.extent"))


@functools.lru_cache(maxsize=4)
def _loaded(path: str, content: str) -> Extent:
    return load_extent(path)
