"""Writes `filters/data/extent.json`: `python -m filters.calibration.fit_extent --data DATA`.

What a segmenter leaves out, measured on tiles whose truth is complete: fresh phantoms and labelled
tiles of patients that no network was trained on. A fifth of the latter, by slide, is left to
`tests.bench.completeness`. All is cross-fitted by slide or laboratory, as the decision is.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from scipy.optimize import isotonic_regression

from filters.batch import model_scores
from filters.calibration.fit import PARTS, fit_decision, parts
from filters.calibration.labelled import FOLDS, Labelled, phantoms, read_folders
from filters.calibration.logistic import moments
from filters.calibration.survey import survey
from filters.calibration.train import half_hidden, write
from filters.completeness import borrowed, log_odds, named_batch
from filters.config import FilterConfig
from filters.decide import MORE_LIKELY_RIGHT, decide
from filters.decision import Calibration, Decision
from filters.extent import (
    EMBEDDED,
    FOUND_NOTHING,
    SPREAD,
    Counts,
    Extent,
    Interval,
    Presence,
    design,
    logarithms,
    to_json,
)
from filters.scores import GEOMETRY, OWN
from filters.stage import Score
from miner.core.threads import fix_threads
from ner.concepts import concepts
from ner.families import family
from segmenters.protocol import Segmenter

SEEDS = {384: 7_404, 256: 7_405, 512: 7_406}  # side of the phantoms, px -> seed
APART = FOLDS - 1  # fold of the labelled tiles that is left to the benchmark
RECALL, REACHED = 0.8, 0.9  # of the pixels, and of the objects, from which on a mask is all of it
REAL_WEIGHT = 4.0  # phantoms are many and alike, see `filters.calibration.train`
ABSENT_ASKED = 12  # absent concepts that a tile is asked for
MIN_SHOWN = 8  # pictures with and without a concept each, below which it was not measured
MIN_COUNTED = 20  # masks of a concept, below which nothing is said of its number
# Share of the labelled numbers that lie below an interval, and above; 90 % in it is what is stated.
# A mask leaves objects out more often, and by more, on pictures unlike the labelled ones than it
# invents them: with .02 above, .94 of 240 numbers were held on phantom corpora of two seeds.
TAILS = 0.02, 0.01
RIDGE = 100.0  # of the penalty on squared weights
MADE = "phantoms"
COUNT_FEATURES = (
    "geometry_objects",
    "geometry_area_fraction",
    "expected_iou",
    "mean_probability",
)
# What is left out is no matter of whether the mask agrees with its name.
FEATURES = (
    "confidence",
    *OWN,
    *(name for name in GEOMETRY if name not in ("geometry_overlap", "geometry_inside")),
)


@dataclasses.dataclass(frozen=True)
class Fitted:
    """The file's content, and what was held out of each part that gave it.

    Attributes:
        extent: for the file.
        table: the rows with a mask.
        whole: float64 (n,), cross-fitted probability that a mask is all of its concept.
        low: float64 (n,), cross-fitted bounds of log((true + .5) / (found + .5)), NaN where none.
        high: float64 (n,), likewise.
    """

    extent: Extent
    table: pa.Table
    whole: np.ndarray
    low: np.ndarray
    high: np.ndarray


def fit_extent(table: pa.Table, sources: Sequence[str]) -> Fitted:
    """Fit everything on a survey.

    Args:
        table: see `filters.calibration.survey.survey`.
        sources: names of the labelled data, for the file.
    """
    drawn = table.filter(pc.greater(pc.fill_null(table["area_px"], 0), 0))
    drawn = decide(drawn, FilterConfig())
    presence = fit_presence(table, drawn)
    weight, whole = weights(drawn), is_whole(drawn)
    judged = _as_asked(drawn).append_column("right", pa.array(whole))
    fitted = fit_decision(judged, weight, weight, sources, FEATURES, (), None)
    maps, probability = fit_maps(judged, fitted.logit, whole, weight)
    counts, low, high = fit_counts(drawn, fitted.decision, weight)
    decision = dataclasses.replace(fitted.decision, calibrations=maps)
    return Fitted(Extent(presence, decision, counts, tuple(sources)), drawn, probability, low, high)


def fit_maps(
    table: pa.Table, logit: np.ndarray, whole: np.ndarray, weight: np.ndarray
) -> tuple[dict[str, Calibration], np.ndarray]:
    """From log odds to the probability that a mask is all of its concept.

    Args:
        table: rows with a mask.
        logit: float64 (n,), cross-fitted.
        whole: bool (n,).
        weight: float64 (n,).

    Returns:
        Maps of concepts with enough masks of their own, of families, and of all; probabilities of
        maps that never saw the row's part, float64 (n,), NaN where its concept has none.
    """
    batch, part = named_batch(table), parts(table)
    families = {f"family:{name}": batch.family == name for name in sorted(set(batch.family))}
    own = {f"concept:{name}": batch.concept == name for name in sorted(set(batch.concept))}
    own = {name: rows for name, rows in own.items() if rows.sum() >= MIN_COUNTED}
    levels = {**own, **families, "global": np.ones(len(logit), bool)}
    maps = {name: _map(logit[r], whole[r], weight[r]) for name, r in levels.items()}
    probability = np.full(len(logit), np.nan)
    for rows in own.values():
        for k in range(PARTS):
            held, seen = rows & (part == k), rows & (part != k)
            if held.any() and seen.any():
                one = _map(logit[seen], whole[seen], weight[seen])
                probability[held] = one.probability(logit[held])
    return maps, probability


def _map(logit: np.ndarray, whole: np.ndarray, weight: np.ndarray) -> Calibration:
    """An isotonic map of which every step counts one mask more that is not all."""
    x, y, masks = steps(logit, whole, weight)
    y = np.maximum.accumulate(y * masks / (masks + 1))
    none = np.empty(0)
    right = int(whole.sum())
    return Calibration(x, y, none, none, none, none, none, none, none, right, len(whole) - right)


def is_whole(table: pa.Table) -> np.ndarray:
    """Whether each mask is all of its concept in the picture, bool (n,)."""
    recall, reached = (_numbers(table, name) for name in ("recall", "reached"))
    single = np.array(table["kind"].to_pylist(), object) == "object"
    with np.errstate(invalid="ignore"):
        return (recall >= RECALL) & (~single | (reached >= REACHED))


def weights(table: pa.Table) -> np.ndarray:
    """How much each row counts, float64 (n,)."""
    return np.where(_texts(table, "source") == MADE, 1.0, REAL_WEIGHT)


def fit_presence(table: pa.Table, drawn: pa.Table) -> dict[str, Presence]:
    """Presence by concept, of those that enough pictures show.

    Args:
        table: the survey.
        drawn: its rows with a mask, with verdicts.
    """
    asked, there = _texts(table, "asked"), np.array(table["present"].to_pylist(), bool)
    logit = np.full(table.num_rows, FOUND_NOTHING)
    logit[_numbers(table, "area_px") > 0] = log_odds(_numbers(drawn, "score"))
    weight = weights(table)
    known = concepts()
    kin = np.array([family(known[name], known[name].kind) for name in asked], object)
    found = {}
    for name in sorted(set(asked)):
        rows = asked == name
        shown, lacking = int((rows & there).sum()), int((rows & ~there).sum())
        if shown >= MIN_SHOWN > lacking:
            # How often it is missed is known; what is answered where it is not, its family says.
            rows = rows | (np.isin(kin, kin[rows]) & ~there)
            lacking = int((rows & ~there).sum())
        if min(shown, lacking) >= MIN_SHOWN:
            found[name] = presence_of(logit[rows], there[rows], weight[rows])
    return found


def presence_of(logit: np.ndarray, there: np.ndarray, weight: np.ndarray) -> Presence:
    """The map of one concept, at even odds.

    Args:
        logit: float64 (n,), log odds of the mask, `FOUND_NOTHING` without one.
        there: bool (n,), whether the picture shows it.
        weight: float64 (n,).
    """
    even = np.where(there, weight / weight[there].sum(), weight / weight[~there].sum())
    x, y, _ = steps(logit, there, even)
    # One picture more of each kind: nothing is certain after n of them.
    one = 1 / (min(there.sum(), (~there).sum()) + 2)
    return Presence(x, np.clip(y, one, 1 - one), int(there.sum()), int((~there).sum()))


def steps(
    logit: np.ndarray, good: np.ndarray, weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weighted monotone regression in which equal values, as of all empty answers, are one.

    Args:
        logit: float64 (n,).
        good: bool (n,).
        weight: float64 (n,), positive.

    Returns:
        Of every step its mean x, its y, both ascending, and how many rows are in it.
    """
    values, at = np.unique(logit, return_inverse=True)
    mass, rows = np.bincount(at, weight), np.bincount(at)
    fit = isotonic_regression(np.bincount(at, weight * good) / mass, weights=mass)
    first = fit.blocks[:-1]
    x = np.add.reduceat(mass * values, first) / np.add.reduceat(mass, first)
    return x, fit.x[first], np.add.reduceat(rows, first)


def fit_counts(
    table: pa.Table, decision: Decision, weight: np.ndarray
) -> tuple[Counts, np.ndarray, np.ndarray]:
    """How far the number of objects is off, and the cross-fitted bounds of every row.

    Args:
        table: rows with a mask and with verdicts.
        decision: whose inputs are used.
        weight: float64 (n,).

    Returns:
        The counts; bounds of log((true + .5) / (found + .5)), float64 (n,), NaN where none.
    """
    batch = named_batch(table)
    scores = model_scores(batch, COUNT_FEATURES, decision.segmenters)
    mean, scale = moments(logarithms(scores, COUNT_FEATURES), weight)
    x = design(scores, COUNT_FEATURES, mean, scale)
    found = np.nan_to_num(batch.columns["geometry_objects"])
    y = np.log((_numbers(table, "true") + 0.5) / (found + 0.5))
    rows = (batch.kind == "object") & (found >= 1)
    rows &= (_numbers(table, "score") >= MORE_LIKELY_RIGHT) & np.isfinite(y) & ~borrowed(table)
    part = parts(table)
    center = _crossed(x, y, weight, rows, part)
    error = np.log(np.abs(y - center) + math.exp(SPREAD[0]))
    spread = np.exp(np.clip(_crossed(x, error, weight, rows, part), *SPREAD))
    off = (y - center) / spread
    real = _texts(table, "source") != MADE
    low, high = np.full(len(y), np.nan), np.full(len(y), np.nan)
    intervals = {}
    for name in sorted(set(batch.concept[rows])):
        own = rows & (batch.concept == name)
        if (bounds := _bounds(off, own, real)) is None:
            continue
        intervals[name] = Interval(*bounds, int(own.sum()))
        for k in range(PARTS):
            held = own & (part == k)
            if held.any() and (seen := _bounds(off, own & (part != k), real)) is not None:
                low[held] = (center + seen[0] * spread)[held]
                high[held] = (center + seen[1] * spread)[held]
    counts = Counts(
        COUNT_FEATURES,
        mean,
        scale,
        ridge(x[rows], y[rows], weight[rows]),
        ridge(x[rows], error[rows], weight[rows]),
        intervals,
    )
    return counts, low, high


def ridge(x: np.ndarray, y: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Weighted ridge regression; the last column, the intercept, is free. float64 (f,)."""
    penalty = np.full(x.shape[1], RIDGE)
    penalty[-1] = 1e-6
    inner = (x * weight[:, None]).T @ x + np.diag(penalty)
    return np.linalg.solve(inner, x.T @ (weight * y))


def _crossed(
    x: np.ndarray, y: np.ndarray, weight: np.ndarray, rows: np.ndarray, part: np.ndarray
) -> np.ndarray:
    """Predictions for every row from models that never saw its part, float64 (n,)."""
    out = np.zeros(len(y))
    for k in range(PARTS):
        seen = rows & (part != k)
        if seen.any():
            out[part == k] = x[part == k] @ ridge(x[seen], y[seen], weight[seen])
    return out


def _bounds(off: np.ndarray, own: np.ndarray, real: np.ndarray) -> tuple[float, float] | None:
    """Conformal bounds of one concept: those that hold on phantoms and on tiles alike."""
    kinds = [off[own & which] for which in (real, ~real)]
    enough = [values for values in kinds if len(values) >= MIN_COUNTED]
    if not enough:
        return None
    low, high = zip(*(_quantiles(np.sort(values)) for values in enough), strict=True)
    return min(low), max(high)


def _quantiles(ordered: np.ndarray) -> tuple[float, float]:
    """Both tails of ascending values, with the correction for how few there are."""
    n = len(ordered)
    low, high = (min(math.ceil((n + 1) * (1 - tail)), n) for tail in TAILS)
    return float(ordered[n - low]), float(ordered[high - 1])


def _as_asked(table: pa.Table) -> pa.Table:
    """Each row judged as what it was asked for, without an earlier answer of that name."""
    return table.drop_columns(["asked_as", "right"])


def _texts(table: pa.Table, name: str) -> np.ndarray:
    return np.array(table[name].to_pylist(), object)


def _numbers(table: pa.Table, name: str) -> np.ndarray:
    return np.array([np.nan if v is None else v for v in table[name].to_pylist()], float)


def labelled(data: Sequence[Path], apart: bool) -> Iterator[Labelled]:
    """Labelled tiles of patients that nothing was trained on, every second one without its scale.

    Args:
        data: folders of labelled tiles.
        apart: those that are left to the benchmark, or the others.
    """
    complete = (t for t in read_folders(data) if t.kept and (t.absent or _complete(t)))
    return half_hidden(t for t in complete if (t.fold == APART) == apart)


def _complete(tile: Labelled) -> bool:
    return any(truth.exhaustive for truth in tile.truth.values())


def surveyed(
    data: Sequence[Path], phantom_tiles: int, segmenter: Segmenter, config: FilterConfig
) -> pa.Table:
    """Answers on the labelled tiles and on fresh phantoms; half of these are 384 px wide."""
    drawn = (
        half_hidden(phantoms(phantom_tiles // (2 if side == 384 else 4), seed, side))
        for side, seed in SEEDS.items()
    )
    tiles = itertools.chain(labelled(data, False), *drawn)
    return survey(tiles, segmenter, Score(config), ABSENT_ASKED)


def summary(fitted: Fitted) -> list[str]:
    """Lines that say how well the cross-fitted figures hold, by kind of picture."""
    table = fitted.table
    name, source = _texts(table, "asked"), _texts(table, "source")
    whole = is_whole(table)
    true, found = _numbers(table, "true"), _numbers(table, "geometry_objects")
    low = (found + 0.5) * np.exp(fitted.low) - 0.5
    high = (found + 0.5) * np.exp(fitted.high) - 0.5
    held = (true >= np.floor(low)) & (true <= np.ceil(high))
    lines = []
    for kind, mine in ((MADE, source == MADE), ("tiles", source != MADE)):
        sure = mine & (fitted.whole >= 0.9)
        lines.append(f"{kind}: said to be all {int(sure.sum())}, of them {whole[sure].mean():.3f}")
        told = mine & np.isfinite(fitted.low)
        lines.append(f"{kind}: {int(told.sum())} numbers, in the interval {held[told].mean():.3f}")
        for one in sorted(set(name[told])):
            rows = told & (name == one)
            width = np.median((high / np.maximum(low, 0.5))[rows])
            lines.append(
                f"  {one}: {int(rows.sum())}, in it {held[rows].mean():.3f}, "
                f"most over fewest {width:.2f}"
            )
    for concept, presence in fitted.extent.presence.items():
        gone = np.interp(FOUND_NOTHING, presence.x, presence.y)
        lines.append(
            f"{concept}: shown by {presence.present}, not by {presence.absent}; "
            f"there though nothing was found {gone:.2f}"
        )
    return lines


def main() -> None:
    """Survey, fit, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--data", type=Path, nargs="*", default=[], help="folders of labelled tiles"
    )
    parser.add_argument("--out", type=Path, default=EMBEDDED)
    parser.add_argument("--phantoms", type=int, default=220)
    parser.add_argument(
        "--survey", type=Path, nargs="*", default=[], help="read the answers from here instead"
    )
    parser.add_argument("--answers", type=Path, help="also write the answers here")
    arguments = parser.parse_args()
    fix_threads(1)
    if arguments.survey:
        tables = [pq.read_table(path) for path in arguments.survey]
        table = pa.concat_tables(tables, promote_options="default")
        apart = (_texts(table, "source") != MADE) & (_numbers(table, "fold") == APART)
        table = table.filter(pa.array(~apart))
    else:
        from segmenters.embedded import EmbeddedSegmenter

        table = surveyed(arguments.data, arguments.phantoms, EmbeddedSegmenter(), FilterConfig())
    if arguments.answers:
        pq.write_table(table, arguments.answers)
    fitted = fit_extent(table, sorted(set(table["source"].to_pylist())))
    write(arguments.out, to_json(fitted.extent))
    print("\n".join(summary(fitted)))


if __name__ == "__main__":
    main()
