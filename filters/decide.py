"""Verdicts: a pure function of the stored scores, for all candidates of a run at once.

No model runs and no picture is read here, so new thresholds give new verdicts in seconds. Every
candidate that is not kept has exactly one reason, the first that applies. Trusted masks (`expert`)
are kept whatever they fail, and count for no rate; `failed` says what the filters make of them.


    (of the segmenter)    empty, unsupported, out_of_support, ...: there is no mask
    decoy, negated        nobody affirms it; `failed` says how its mask fared
    not_finite            a score is NaN or infinite
    whole_image .. not_a_region    geometry, see `filters.geometry.verdicts`
    outside_parent        lies outside of what it is a part of
    out_of_support        the picture's stain is unlike every reference
    undefined             neither agreement nor KS could be computed, and no lead over other tissues
    at_least:NAME, at_most:NAME    a raw threshold
    outscored             another segmenter's mask of the same concept scores higher
    same_mask             another phrase got the same mask and scores higher
    uncertifiable         no threshold reaches the stated precision on labelled data
    low_score, high_fdr   below what the stated precision or rate needs
"""

from __future__ import annotations

import dataclasses
import functools
import logging

import numpy as np
import pyarrow as pa

from filters import fdr, geometry
from filters.batch import Batch, model_scores, read_batch, without_frame
from filters.config import FilterConfig
from filters.decision import EMBEDDED, Decision, inputs, load_decision, model_of
from filters.scores import CLIP, KS, VERDICT
from miner.core.contents import digest
from miner.core.unit import described
from ner.concepts import concepts

log = logging.getLogger(__name__)

MORE_LIKELY_RIGHT = 0.5
# However good the others are, no mask is kept that is more often wrong than this many times the
# rate that is stated of all: an average alone lets masks of even odds ride on sure ones, and
# probabilities in the middle carry over worst to other pictures. Without it, with 2.5 and with 2,
# at precision=.9, .943, .946 and .950 of those kept on real sources left out were right, and .66,
# .64 and .63 of the right ones kept; on phantoms .90, .91 and .91, and .78, .75 and .72.
MOST_OF_RATE = 2.0
PASSED = ""  # what a mask has failed to which no filter objects

# The picture's support alone says nothing about the mask.
_ESSENTIAL = (*CLIP, *(name for name in KS if name != "ks_support"))


def decide(candidates: pa.Table, config: FilterConfig) -> pa.Table:
    """Give every candidate its verdict.

    Args:
        candidates: `miner.core.unit.CANDIDATES` and the score columns, in any order; masks
            themselves (`counts`, `instances`) are not needed. `reason` is the segmenter's.
        config: of the filters.

    Returns:
        The candidates, in the same order, with `score` (probability that IoU >= .5; null without a
        mask), `calibration` (whose labelled data the score comes from: "concept:NAME",
        "family:NAME" or "global"), `q_value` (null where it competes for nothing), `failed` (first
        filter that a mask failed, whatever its role), `keep` and `reason` (null iff kept).

    Raises:
        Refused: the decision file cannot be read.
    """
    judged = judge(candidates, config)
    estimate = estimate_fdr(judged, config)
    return verdicts(candidates, judged, estimate.q, accepted_from(judged, estimate, config), config)


@dataclasses.dataclass(frozen=True)
class Judged:
    """What is known of candidates before the stated precision or rate is applied.

    All of it is said of each picture's candidates alone, so parts of a run can be judged apart and
    joined; only the false-discovery rate (`estimate_fdr`) and `accepted_from` need them all.

    Attributes:
        score: float64 (n,), probability to be right; NaN without a mask.
        level: object (n,), name of the calibration that it comes from.
        family: object (n,), of the concept.
        failed: object (n,), first filter that objects, `PASSED` where none does.
        positive: bool (n,), some caption affirms it.
        decoy: bool (n,), asked as a decoy only.
        trusted: bool (n,), no filter may object.
        asked: bool (n,), some segmenter knows the concept; what is trusted counts for no rate.
        has_mask: bool (n,).
    """

    score: np.ndarray
    level: np.ndarray
    family: np.ndarray
    failed: np.ndarray
    positive: np.ndarray
    decoy: np.ndarray
    trusted: np.ndarray
    asked: np.ndarray
    has_mask: np.ndarray

    def to_table(self) -> pa.Table:
        """One column an attribute; texts as dictionaries."""
        return pa.table(
            {
                f.name: pa.array(getattr(self, f.name), pa.dictionary(pa.int32(), pa.string()))
                if getattr(self, f.name).dtype == object
                else pa.array(getattr(self, f.name))
                for f in dataclasses.fields(self)
            }
        )

    @staticmethod
    def from_table(table: pa.Table) -> Judged:
        """What `to_table` gave, or several of these one after the other."""
        columns = {}
        for name in table.column_names:
            chunks = table[name].chunks
            if pa.types.is_dictionary(table[name].type):  # equal texts are one object
                texts: dict[str, str] = {}
                parts = [
                    np.array([texts.setdefault(t, t) for t in c.dictionary.to_pylist()], object)[
                        c.indices.to_numpy()
                    ]
                    for c in chunks
                    if len(c)
                ]
                columns[name] = np.concatenate(parts) if parts else np.empty(0, object)
            else:
                columns[name] = table[name].to_numpy()
        return Judged(**columns)


def judge(candidates: pa.Table, config: FilterConfig) -> Judged:
    """Judge candidates by all that does not need the rest of the run; see `decide`."""
    decision = cached_decision(config.decision)
    batch = read_batch(candidates)
    score, level = probabilities(batch, decision)
    failed = np.full(candidates.num_rows, PASSED, object)
    calibrated = np.isin(batch.segmenter.astype(str), decision.segmenters)
    _rule_out(failed, batch, _Partners(batch, candidates), score, calibrated, config)
    return Judged(
        score=score,
        level=level,
        family=batch.family,
        failed=failed,
        positive=batch.positive,
        decoy=batch.decoy,
        trusted=batch.trusted,
        asked=np.array([reason != "unsupported" for reason in batch.given], bool) & ~batch.trusted,
        has_mask=batch.has_mask,
    )


def accepted_from(judged: Judged, estimate: fdr.Estimate, config: FilterConfig) -> float:
    """Lowest score of a target that the stated rate accepts; infinite when it accepts none.

    Decoys and negated phrases have no q-value; they pass where a target of their score does.
    """
    if config.target is None or config.target[0] != "fdr":
        return float("inf")
    if not estimate.decoys_enough:
        log.warning(
            "%d decoys are too few to check a false-discovery rate of %g; it rests on the "
            "calibrated probabilities alone",
            estimate.decoys,
            config.target[1],
        )
    rate = config.target[1]
    good = judged.positive & (judged.failed == PASSED) & (estimate.q <= rate)
    good &= judged.score >= least_probability(rate)
    return float(judged.score[good].min(initial=np.inf))


def verdicts(
    candidates: pa.Table, judged: Judged, q: np.ndarray, accepted_from: float, config: FilterConfig
) -> pa.Table:
    """Candidates with their verdicts, as `decide` returns them.

    Args:
        candidates: of the run or a part of it.
        judged: of these.
        q: float64 (n,), their q-values among all of the run.
        accepted_from: see the function of that name.
        config: of the filters.
    """
    failed = after_target(judged, q, accepted_from, config)
    reason = reasons(judged, failed)
    return _with(
        candidates,
        {
            "score": pa.array(judged.score.round(6), pa.float64(), from_pandas=True),
            "calibration": _texts(judged.level, judged.has_mask),
            "q_value": pa.array(q.round(6), pa.float64(), from_pandas=True),
            "failed": _texts(failed, failed != PASSED),
            "keep": pa.array(reason == PASSED, pa.bool_()),
            "reason": _texts(reason, reason != PASSED),
        },
    )


def cached_decision(path: str) -> Decision:
    """`load_decision`, once per content of the file."""
    file = EMBEDDED if path == "embedded" else path
    return _loaded(path, digest({"": str(file)}, "filters.decision"))


@functools.lru_cache(maxsize=4)
def _loaded(path: str, content: str) -> Decision:
    return load_decision(path)


def probabilities(batch: Batch, decision: Decision) -> tuple[np.ndarray, np.ndarray]:
    """Calibrated probability, float64 (n,), NaN without a mask, and name of the calibration."""
    scores = model_scores(batch, decision.features, decision.segmenters)
    scores = without_frame(scores, decision.features, batch, decision.filled_from)
    x = inputs(scores, decision.features, decision.centers, batch.judged, batch.family)
    pairs = list(zip(batch.judged, batch.family, strict=True))
    levels = {pair: decision.level(*pair) for pair in sorted(set(pairs))}
    level = np.array([levels[pair] for pair in pairs], object)
    score = np.full(len(x), np.nan)
    for concept, which in sorted(set(pairs)):
        rows = (batch.judged == concept) & (batch.family == which) & batch.has_mask
        if rows.any():
            calibration = decision.calibrations[levels[concept, which]]
            model = model_of(decision.models, concept, which)
            score[rows] = calibration.probability(model.logit(x[rows]))
    return score, level


def estimate_fdr(judged: Judged, config: FilterConfig) -> fdr.Estimate:
    """Both false-discovery rates of the candidates of a run that no filter ruled out."""
    return fdr.estimate(*_competition(judged, config))


def check_fdr(judged: Judged, config: FilterConfig) -> fdr.Entrapment:
    """Whether the count of decoys says what it should, by every second decoy."""
    return fdr.entrapment(*_competition(judged, config))


def _competition(
    judged: Judged, config: FilterConfig
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, float | None]:
    """Arguments of `fdr.estimate`."""
    target = config.target
    return (
        judged.score,
        judged.family,
        judged.positive & judged.asked,
        judged.decoy & judged.asked,
        judged.failed == PASSED,
        target[1] if target is not None and target[0] == "fdr" else None,
    )


def _rule_out(
    failed: np.ndarray,
    batch: Batch,
    partners: _Partners,
    score: np.ndarray,
    calibrated: np.ndarray,
    config: FilterConfig,
) -> None:
    """Everything but the stated precision or rate; see `geometry.verdicts` for `calibrated`."""
    columns = batch.columns

    def fail(name: str, where: np.ndarray) -> None:
        failed[where & (failed == PASSED)] = name

    failed[~batch.has_mask] = [reason or "empty" for reason in batch.given[~batch.has_mask]]
    fail("not_finite", batch.damaged)
    shapes = geometry.verdicts(
        columns, list(batch.judged), list(batch.kind), calibrated, concepts(), config.geometry
    )
    for name in sorted(set(shapes) - {PASSED}):
        fail(name, shapes == name)
    whole = partners.find("inside_of")
    loose = columns["geometry_inside"] < config.geometry.min_inside_fraction
    # A part is measured by its whole only where the whole is the more believable of the two.
    fail("outside_parent", loose & (_at(score, whole, np.nan) >= score))
    fail("out_of_support", columns["ks_support"] < config.support_alpha)
    defined = [np.isfinite(columns[name]) for name in _ESSENTIAL]
    # A tissue that fills its picture has nothing to be compared with: there it is enough how far it
    # leads over other tissues, where the decision was fitted on what its segmenter says of that.
    lead = np.isfinite(columns["margin"]) & np.isfinite(columns["ks_support"])
    fail("undefined", ~np.any([*defined, calibrated & lead], axis=0))
    for word, limits in (("at_least", config.at_least), ("at_most", config.at_most)):
        for name, limit in sorted(limits.items()):
            # Written so that an undefined score passes no threshold.
            values = columns.get(name, np.full(len(score), np.nan))
            passes = values >= limit if word == "at_least" else values <= limit
            fail(f"{word}:{name}", ~passes)

    _outscore(failed, batch, score)
    twin = partners.find("overlap_with")
    other, name = _at(score, twin, np.nan), _at(batch.concept, twin, "")
    # Of two names of one mask the one that it was asked for as stays.
    borrowed = batch.concept != batch.judged
    lent = _at(borrowed, twin, False)
    first = (borrowed > lent) | ((borrowed == lent) & (name < batch.concept))
    alike = columns["geometry_overlap"] >= config.geometry.same_mask_iou
    standing = _at((failed == PASSED) & batch.positive, twin, False)
    fail(
        "same_mask",
        alike & standing & ((other > score) | ((other == score) & first)),
    )


def after_target(
    judged: Judged, q: np.ndarray, accepted_from: float, config: FilterConfig
) -> np.ndarray:
    """First filter that a mask failed, the stated precision or rate included: object (n,)."""
    failed = judged.failed.copy()
    if config.target is None:
        return failed
    what, value = config.target
    left = failed == PASSED
    if what == "fdr":
        low = ~(judged.score >= least_probability(value))
        passes = np.where(judged.positive, q <= value, judged.score >= accepted_from)
        failed[left & ~passes] = "high_fdr"
        failed[left & passes & low] = "low_score"
        return failed
    least = limits(cached_decision(config.decision), value)
    limit = np.array([least[name] for name in judged.level.tolist()], float)
    failed[left & np.isinf(limit)] = "uncertifiable"
    failed[left & np.isfinite(limit) & ~(judged.score >= limit)] = "low_score"
    return failed


def reasons(judged: Judged, failed: np.ndarray) -> np.ndarray:
    """Why each candidate is not kept, `PASSED` for those that are: object (n,)."""
    reason = failed.copy()
    reason[judged.has_mask & judged.trusted] = PASSED
    reason[judged.has_mask & ~judged.positive] = "negated"
    reason[judged.has_mask & judged.decoy] = "decoy"
    return reason


def least_probability(rate: float) -> float:
    """Probability below which no mask is accepted, for a stated share of wrong ones; see above."""
    # A mask that is more likely wrong than right is a label only where such a rate is asked for.
    return max(min(1 - rate, MORE_LIKELY_RIGHT), 1 - MOST_OF_RATE * rate)


def limits(decision: Decision, precision: float) -> dict[str, float]:
    """Score from which on masks are accepted, by calibration; infinite where none reaches it."""
    floor = least_probability(1 - precision)
    return {
        name: max(one.threshold_for(precision), floor)
        for name, one in decision.calibrations.items()
    }


class _Partners:
    """Finds the row of another concept in the same picture by the same segmenter."""

    def __init__(self, batch: Batch, candidates: pa.Table):
        self.candidates = candidates
        self.keys = list(zip(batch.image, batch.segmenter, strict=True))
        rows = zip(self.keys, batch.concept, strict=True)
        self.rows = {(*key, concept): i for i, (key, concept) in enumerate(rows)}

    def find(self, column: str) -> np.ndarray:
        """Row number of the concept that `column` names, int64 (n,), -1 where there is none."""
        if column not in self.candidates.column_names:
            return np.full(len(self.keys), -1)
        names = self.candidates[column].to_pylist()
        found = (self.rows.get((*k, c), -1) for k, c in zip(self.keys, names, strict=True))
        return np.fromiter(found, np.int64, len(self.keys))


def _at(values: np.ndarray, rows: np.ndarray, default: object) -> np.ndarray:
    """Values at other rows, `default` where the row is -1."""
    out = values[rows] if len(values) else values.copy()
    out[rows < 0] = default
    return out


def _outscore(failed: np.ndarray, batch: Batch, score: np.ndarray) -> None:
    """Of several segmenters' masks for one concept of one picture only the best stays."""
    best: dict[tuple[str, str], int] = {}
    for i in np.flatnonzero((failed == PASSED) | (batch.has_mask & batch.trusted)):
        key = (batch.image[i], batch.concept[i])
        held = best.setdefault(key, int(i))
        if held == i:
            continue
        names, trusted = batch.segmenter, batch.trusted
        better = (~trusted[i], -score[i], names[i]) < (~trusted[held], -score[held], names[held])
        failed[held if better else i] = "outscored"
        if better:
            best[key] = int(i)


def _with(table: pa.Table, columns: dict[str, pa.Array]) -> pa.Table:
    for name, values in columns.items():
        field = described(pa.field(name, values.type), VERDICT)
        if name in table.column_names:
            table = table.set_column(table.column_names.index(name), field, values)
        else:
            table = table.append_column(field, values)
    return table


def _texts(values: np.ndarray, valid: np.ndarray) -> pa.Array:
    """Strings, null where not valid."""
    return pa.array(values, pa.string(), mask=~valid)
