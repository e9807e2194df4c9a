"""From judgements to numbers: precision, what filters lose, how far auditors can be relied on."""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from miner.audit.agreement import cohen, krippendorff
from miner.audit.intervals import LEVEL, Share, share
from miner.audit.judgements import Judgement, Judgements
from miner.audit.weights import unjudged, weights

CREDIT = {"right": 1.0, "roughly_right": 0.5, "wrong_object": 0.0, "wrong_extent": 0.0}


def estimates(
    audit: Mapping[str, Any], judgements: Judgements, target: tuple[str, float] | None
) -> dict[str, Any]:
    """Everything an audit says; plain values for JSON.

    A mask is right when an auditor calls it right or roughly right; of several auditors the mean
    counts. Weights: see `weights.weights`.

    Args:
        audit: content of audit.json.
        judgements: of it.
        target: what the run promised: ("precision", p), ("fdr", q) or None.

    Returns:
        `precision`: shares of the kept masks by "all", "corpus", "family", "concept" (estimate,
        low, high, n, groups, more); `strict` (right alone) and `credit` (roughly right counts
        half) of all; `rejected`: the share of right ones among rejected masks, `lost` the share of
        all right masks that filters rejected; `promise`; `auditors`; `verdicts`; `by_concept`
        verdict counts; `unjudged`: masks of the run for which no figure speaks, see
        `weights.unjudged`; `problems`.
    """
    items = {i["item"]: i for i in audit["items"]}
    by_item: dict[str, list[Judgement]] = defaultdict(list)
    for judgement in judgements.found:
        by_item[judgement.item].append(judgement)
    judged = [i for i in audit["items"] if i["item"] in by_item and i["control"] is None]
    weight = weights(audit, by_item)
    kept = [i for i in judged if i["kept"]]
    rejected = [i for i in judged if not i["kept"]]

    def of(some: Sequence[Mapping[str, Any]], worth: Callable[[Judgement], float]) -> Share:
        right = [_mean([worth(j) for j in by_item[i["item"]]]) for i in some]
        return share(
            right,
            [weight[i["item"]] for i in some],
            [f"{i['corpus']}/{i['group']}" for i in some],
            [i["stratum"] for i in some],
        )

    def usable(judgement: Judgement) -> float:
        return float(judgement.right)

    precision = {"all": {"all": _row(of(kept, usable))}}
    for level in ("corpus", "family", "concept"):
        names = sorted({i[level] for i in kept})
        precision[level] = {n: _row(of([i for i in kept if i[level] == n], usable)) for n in names}
    missed = of(rejected, usable)
    return {
        "audit": audit["audit"],
        "run": audit["run"],
        "level": LEVEL,
        "judged": len(judged),
        "drawn": sum(i["control"] is None for i in audit["items"]),
        "precision": precision,
        "strict": _row(of(kept, lambda j: float(j.verdict == "right"))),
        "credit": _row(of(kept, lambda j: CREDIT[j.verdict])),
        "rejected": _row(missed),
        "lost": _lost(of(kept, usable), missed, *(
            sum(weight[i["item"]] for i in some) for some in (kept, rejected)
        )),
        "promise": _promise(target, precision["all"]["all"]),
        "auditors": _auditors(items, judgements.found),
        "verdicts": dict(sorted(Counter(j.verdict for j in judgements.found
                                        if items[j.item]["control"] is None).items())),
        "errors": _errors(items, judgements.found),
        "unjudged": unjudged(audit, by_item),
        "problems": list(judgements.problems),
    }  # fmt: skip


def earlier(audit: Mapping[str, Any], judgements: Judgements) -> dict[str, tuple[float, int]]:
    """Precision and number of judgements by stratum, for the allocation of a next draw."""
    items = {i["item"]: i for i in audit["items"] if i["control"] is None}
    right: dict[str, list[float]] = defaultdict(list)
    for j in judgements.found:
        if j.item in items:
            right[items[j.item]["stratum"]].append(float(j.right))
    return {key: (_mean(found), len(found)) for key, found in sorted(right.items())}


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _row(found: Share) -> dict[str, Any]:
    row = dataclasses.asdict(found)
    row["more"] = found.more
    return {k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()}


def _lost(
    kept: Share, rejected: Share, masks_kept: float, masks_rejected: float
) -> dict[str, Any] | None:
    """Share of all right masks that the filters rejected, with the ends of the rejected's share.

    Args:
        kept: share of right ones among the kept.
        rejected: likewise.
        masks_kept: of the run that the judged ones stand for.
        masks_rejected: likewise.
    """
    if kept.estimate is None or rejected.estimate is None:
        return None

    def at(share_of_rejected: float) -> float:
        lost = masks_rejected * share_of_rejected
        right = lost + masks_kept * (kept.estimate or 0)
        return round(lost / right, 4) if right else 0.0

    return {
        "estimate": at(rejected.estimate),
        "low": at(rejected.low),
        "high": at(rejected.high),
        "masks": round(masks_rejected * rejected.estimate),
    }


def _promise(target: tuple[str, float] | None, found: Mapping[str, Any]) -> dict[str, Any] | None:
    """Whether what the run stated holds: kept, broken, or not yet told by so few judgements."""
    if target is None:
        return None
    kind, value = target
    least = value if kind == "precision" else 1 - value
    if found["estimate"] is None:
        state = "open"
    elif found["low"] >= least:
        state = "kept"
    elif found["high"] < least:
        state = "broken"
    else:
        state = "open"
    return {"stated": kind, "value": value, "state": state}


def _auditors(items: Mapping[str, Mapping[str, Any]], found: Sequence[Judgement]) -> dict[str, Any]:
    """Agreement of the auditors, and how they did on planted masks."""
    verdicts: dict[str, dict[str, str]] = defaultdict(dict)
    for j in found:
        verdicts[j.auditor][j.item] = "right" if j.right else "wrong"
    planted = {
        name: [
            (items[item]["control"] == "right", said == "right")
            for item, said in said_by.items()
            if items[item]["control"] is not None
        ]
        for name, said_by in verdicts.items()
    }
    real = {
        name: {i: v for i, v in said_by.items() if items[i]["control"] is None}
        for name, said_by in verdicts.items()
    }
    by_item: dict[str, list[str]] = defaultdict(list)
    for said_by in real.values():
        for item, said in said_by.items():
            by_item[item].append(said)
    pairs = {}
    for one, other in itertools.combinations(sorted(real), 2):
        both = sorted(real[one].keys() & real[other].keys())
        kappa = cohen([real[one][i] for i in both], [real[other][i] for i in both])
        pairs[f"{one}, {other}"] = {"items": len(both), "kappa": _rounded(kappa)}
    return {
        "controls": {
            name: {
                "right_called_right": sum(said for truth, said in pairs_ if truth),
                "right": sum(truth for truth, _ in pairs_),
                "wrong_called_wrong": sum(not said for truth, said in pairs_ if not truth),
                "wrong": sum(not truth for truth, _ in pairs_),
            }
            for name, pairs_ in sorted(planted.items())
        },
        "judged": {name: len(said_by) for name, said_by in sorted(real.items())},
        "cohen": pairs,
        "krippendorff": _rounded(krippendorff(by_item)),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _errors(
    items: Mapping[str, Mapping[str, Any]], found: Sequence[Judgement]
) -> dict[str, dict[str, int]]:
    """Verdicts on kept masks by concept."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for j in found:
        if items[j.item]["control"] is None and items[j.item]["kept"]:
            counts[items[j.item]["concept"]][j.verdict] += 1
    return {concept: dict(sorted(c.items())) for concept, c in sorted(counts.items())}
