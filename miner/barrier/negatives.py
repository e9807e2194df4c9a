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
        Rows {concept, why, start, end}: "negated" where the picture confirms what the caption
        denies, "site" where the concept cannot occur in that organ, "decoy" (null offsets) where
        an absent concept was asked for and nothing convincing was found. Absence is confirmed by
        an answer: one that found nothing, or none that scores. A concept that no segmenter knows
        is confirmed by nobody.
    """
    absent = _confirmed_absent(candidates, absent_below)
    named = {m["concept"] for m in mentions}
    rows = [
        {"concept": m["concept"], "why": "negated", "start": m["start"], "end": m["end"]}
        for m in mentions
        if m["polarity"] == "negated" and m["concept"] in absent
    ]
    rows += [
        {"concept": m["concept"], "why": "site", "start": m["start"], "end": m["end"]}
        for m in mentions
        if m["polarity"] == "affirmed" and m["reason"] == "finding"
    ]
    decoys = (
        c["concept"] for c in candidates if "decoy" in c["roles"] and c["concept"] in absent - named
    )
    rows += [
        {"concept": concept, "why": "decoy", "start": None, "end": None}
        for concept in sorted(set(decoys))
    ]
    return rows


def _confirmed_absent(candidates: Sequence[Mapping[str, Any]], absent_below: float) -> set[str]:
    """Concepts that were looked for and not found in a convincing way."""
    answered = {
        c["concept"] for c in candidates if c["score"] is not None or c["reason"] == "empty"
    }
    found = {c["concept"] for c in candidates if (c["score"] or 0.0) >= absent_below}
    return answered - found
