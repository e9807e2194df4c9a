"""Whether an audit certifies a precision, and for which concepts."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Any

from miner.audit.intervals import LEVEL, share
from miner.audit.judgements import Judgements
from miner.audit.weights import weights
from miner.core.wording import counted


@dataclasses.dataclass(frozen=True)
class Gate:
    """What the gate found.

    Attributes:
        reasons: why there is no release; empty when the precision holds.
        said: what a reader should know.
        dropped: concepts that are left out.
        low: lower bound of the precision of what is released, 0 to 1.
        bounds: lower bounds by concept, holding for all of them together.
    """

    reasons: tuple[str, ...]
    said: tuple[str, ...]
    dropped: tuple[str, ...]
    low: float
    bounds: dict[str, float]


def judge(
    found: Mapping[str, Any],
    audit: Mapping[str, Any],
    judgements: Judgements,
    least: float,
    drop_failing: bool,
) -> Gate:
    """Hold the audited precision against a bar.

    A concept or stratum of which nobody judged a mask is not released.
    Without `drop_failing` the lower end of the interval of all kept masks counts. With it, concepts
    whose estimate is below the bar, and those nobody judged, are left out; since which ones are is
    read from the same judgements, the bound of the rest is taken at a level that is divided by the
    number of sets that could have been left (Bonferroni; the concepts in the order of their
    estimates, one set per cut).

    Args:
        found: see `estimate.estimates`.
        audit: content of audit.json.
        judgements: of it.
        least: the bar, 0 to 1.
        drop_failing: leave out what falls short.
    """
    concepts = found["precision"]["concept"]
    kept = _by_concept(audit, judgements)
    together = 1 - (1 - LEVEL) / max(len(kept), 1)
    bounds = {c: round(_bound(kept, {c}, together), 4) for c in sorted(kept)}
    if not drop_failing:
        low = found["precision"]["all"]["all"]["low"]
        there = {name for name in found["unjudged"] if name.startswith("kept/")}
        reasons = _unknown(found["unjudged"], there, least)
        reasons += [] if low >= least else [_short(low, least)]
        return Gate(tuple(reasons), (f"lower bound of the precision: {low:.3f}",), (), low, bounds)
    stay = {c for c, row in concepts.items() if row["n"] and row["estimate"] >= least}
    dropped = tuple(sorted(audit["concepts"].keys() - stay))
    level = 1 - (1 - LEVEL) / (len(kept) + 1)
    low = _bound(kept, stay, level)
    said = [f"lower bound of the precision of what remains: {low:.3f}"]
    if dropped:
        said.append(f"left out: {', '.join(dropped)}")
    there = {i["stratum"] for i in audit["items"] if i["concept"] in stay and i["kept"]}
    reasons = _unknown(found["unjudged"], there, least)
    reasons += [] if stay and low >= least else [_short(low, least)]
    return Gate(tuple(reasons), tuple(said), dropped, low, {c: bounds[c] for c in sorted(stay)})


def _unknown(unjudged: Mapping[str, int], there: Collection[str], least: float) -> list[str]:
    """What would be released and no judgement speaks of; nothing matters without a bar."""
    silent = {
        name.removeprefix("kept/"): masks for name, masks in unjudged.items() if name in there
    }
    return [f"precision: nobody judged any of {listed(silent)}"] if silent and least > 0 else []


def listed(silent: Mapping[str, int]) -> str:
    """Masks that nobody judged, by where they are: "6 masks in mucin (4), nerve (2)"."""
    names = [f"{name} ({n:,})" for name, n in silent.items()] if len(silent) > 1 else silent
    return f"{counted(sum(silent.values()), 'mask')} in {', '.join(names)}"


def _short(low: float, least: float) -> str:
    return f"precision: its lower bound is {low:.3f}, the bar is {least:.3f}"


_Judged = tuple[float, float, str, str]  # right, weight, group, stratum


def _by_concept(audit: Mapping[str, Any], judgements: Judgements) -> dict[str, list[_Judged]]:
    said: dict[str, list[float]] = defaultdict(list)
    for judgement in judgements.found:
        said[judgement.item].append(float(judgement.right))
    judged = [i for i in audit["items"] if i["item"] in said and i["control"] is None and i["kept"]]
    weight = weights(audit, said)
    found: dict[str, list[_Judged]] = defaultdict(list)
    for item in judged:
        verdicts = said[item["item"]]
        found[item["concept"]].append(
            (
                sum(verdicts) / len(verdicts),
                weight[item["item"]],
                f"{item['corpus']}/{item['group']}",
                item["stratum"],
            )
        )
    return dict(found)


def _bound(kept: Mapping[str, list[_Judged]], concepts: set[str], level: float) -> float:
    """Lower end of the interval over some concepts."""
    rows = [row for concept in sorted(concepts) for row in kept.get(concept, ())]
    if not rows:
        return 0.0
    right, weights, groups, strata = zip(*rows, strict=True)
    return share(right, weights, groups, strata, level).low
