"""What a picture does not show, as labels: hard negatives, findings and decoys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def negatives(
    mentions: Sequence[Mapping[str, Any]],
    candidates: Sequence[Mapping[str, Any]],
    absent_below: float,
) -> list[dict[str, Any]]:
    """Negatives of one sample.

    Args:
        mentions: of its caption.
        candidates: of its picture, with verdicts; the segmenters' answers for negated mentions
            and decoys tell whether the picture agrees.
        absent_below: a concept is absent when its best mask scores less.

    Returns:
        Rows {concept, why, start, end}: "negated" where the caption denies what no good mask
        contradicts, "site" where the concept cannot occur in that organ, "decoy" (null offsets)
        where an absent concept was asked for and nothing convincing was found.
    """
    found = {c["concept"] for c in candidates if (c["score"] or 0.0) >= absent_below}
    named = {m["concept"] for m in mentions}
    rows = [
        {"concept": m["concept"], "why": "negated", "start": m["start"], "end": m["end"]}
        for m in mentions
        if m["polarity"] == "negated" and m["concept"] not in found
    ]
    rows += [
        {"concept": m["concept"], "why": "site", "start": m["start"], "end": m["end"]}
        for m in mentions
        if m["polarity"] == "affirmed" and m["reason"] == "finding"
    ]
    decoys = (
        c["concept"]
        for c in candidates
        if "decoy" in c["roles"] and c["concept"] not in found | named
    )
    rows += [
        {"concept": concept, "why": "decoy", "start": None, "end": None}
        for concept in sorted(set(decoys))
    ]
    return rows
