"""From verdicts on masks to the state of each caption row, before duplicates and caps."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from miner.barrier.rewrite import verified
from miner.core.rows import JudgedCandidate, MentionRow, SampleRow
from miner.core.unit import SILENT_REASONS


@dataclasses.dataclass(frozen=True)
class RowState:
    """Where one caption row stands.

    Attributes:
        status: one of `miner.core.unit.STATUSES`.
        reason: why, None for written rows.
        kept: rows of the unit's candidates that become regions of this sample, in order.
        score: sum of the scores of the kept masks.
    """

    status: str
    reason: str | None
    kept: tuple[int, ...] = ()
    score: float = 0.0


def row_states(
    samples: Sequence[SampleRow],
    candidates: Sequence[JudgedCandidate],
    keep_negatives: bool,
    rewrite: bool = False,
) -> list[RowState]:
    """State of every caption row of a unit.

    Args:
        samples: of them sample_id, image_id, mentions, status, reason; with `rewrite` turns, too.
        candidates: of them image_id, concept, keep, reason, score, area_px; with `rewrite` roles.
        keep_negatives: write rows that only name what is not there.
        rewrite: write captions that name nothing with what others of the picture name.
    """
    by_image: dict[str, dict[str, list[int]]] = {}
    for i, candidate in enumerate(candidates):
        concepts = by_image.setdefault(candidate["image_id"], {})
        concepts.setdefault(candidate["concept"], []).append(i)
    return [
        _row_state(
            sample, by_image.get(sample["image_id"], {}), candidates, keep_negatives, rewrite
        )
        for sample in samples
    ]


def grounded_concepts(mentions: Iterable[MentionRow]) -> list[str]:
    """Concepts of the affirmed, groundable mentions, each once, in order of appearance."""
    wanted = (m for m in mentions if m["polarity"] == "affirmed" and m["groundable"])
    return list(dict.fromkeys(m["concept"] for m in wanted))


def _row_state(
    sample: SampleRow,
    by_concept: Mapping[str, Sequence[int]],
    candidates: Sequence[JudgedCandidate],
    keep_negatives: bool,
    rewrite: bool,
) -> RowState:
    if sample["status"] is not None:
        kept = verified(sample, by_concept, candidates) if rewrite else ()
        if kept:
            return _written(kept, candidates)
        silent = sample["status"] == "no_entity" and sample["reason"] in SILENT_REASONS
        if silent and keep_negatives:
            return RowState("written", None)
        return RowState(sample["status"], sample["reason"])
    asked = [i for c in grounded_concepts(sample["mentions"] or ()) for i in by_concept.get(c, ())]
    kept = tuple(i for i in asked if candidates[i]["keep"])
    if kept:
        return _written(kept, candidates)
    masked = [i for i in asked if candidates[i]["area_px"]]
    if not masked:
        reasons = [candidates[i]["reason"] for i in asked]
        return RowState("no_mask", reasons[0] if reasons else "not_asked")
    best = max(masked, key=lambda i: (candidates[i]["score"] or 0.0, -i))
    return RowState("rejected", candidates[best]["reason"])


def _written(kept: tuple[int, ...], candidates: Sequence[JudgedCandidate]) -> RowState:
    return RowState("written", None, kept, sum(candidates[i]["score"] or 0.0 for i in kept))
