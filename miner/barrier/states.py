"""What is known of every concept that a caption names or a segmenter was asked for.

Present, absent or unknown: a caption names some of what a picture shows, and what it does not name
is unknown, not absent. So is what it names without a mask that stood up, and what it denies that a
segmenter found.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Sequence

from miner.core.rows import FactRow, JudgedCandidate, MentionRow
from ner.concepts import concepts
from ner.families import homes, related
from ner.ground import forbidden, named_sites, sites_of
from shards.sample import ABSENT, PRESENT, UNKNOWN, KnownConcept, Negative, State


def states(
    mentions: Sequence[MentionRow],
    candidates: Sequence[JudgedCandidate],
    grounded: Collection[str],
    absent_below: float,
    facts: Sequence[FactRow] = (),
) -> list[KnownConcept]:
    """State of every concept named or asked, those that are named first.

    Absence is confirmed by an answer: one that found nothing, or none that scores. Where no caption
    denies it, it must also be known that the concept is found where it is, or the organ that the
    caption names cannot have it. What no segmenter knows, what another caption of the picture
    affirms, and what is a kind, part or whole of something that is there, is confirmed by nobody.

    Args:
        mentions: of the caption.
        candidates: of its picture, with verdicts and extent (`filters.completeness`).
        grounded: concepts with a region.
        absent_below: see `filters.absent_below`.
        facts: of the caption.
    """
    named: dict[str, list[MentionRow]] = {}
    for mention in mentions:
        named.setdefault(mention["concept"], []).append(mention)
    asked: dict[str, list[JudgedCandidate]] = {}
    for candidate in candidates:
        asked.setdefault(candidate["concept"], []).append(candidate)
    there = {*grounded, *(c["concept"] for c in candidates if c["keep"])}
    there |= {m["concept"] for m in mentions if m["polarity"] == "affirmed"}
    sites, ruling = sites_of(facts), named_sites(facts, mentions)
    rows: list[KnownConcept] = []
    for name in [*named, *sorted(asked.keys() - named.keys())]:
        answers = asked.get(name, [])
        doubt = ""
        if any(_kin(name, other) for other in there):
            doubt = "kin"
        elif any("decoy" in c["roles"] for c in answers):
            doubt = _doubt(name, answers, sites, ruling)
        state, why = _state(
            named.get(name, []), answers, name in grounded, doubt, gone(answers, absent_below)
        )
        found = [c["presence"] for c in answers if c["presence"] is not None]
        rows.append(
            {"concept": name, "state": state, "p": max(found) if found else None, "why": why}
        )
    return rows


@functools.lru_cache(maxsize=1 << 16)
def _kin(first: str, second: str) -> bool:
    return related(first, second, concepts())


def negatives(mentions: Sequence[MentionRow], known: Sequence[KnownConcept]) -> list[Negative]:
    """Negatives of one sample: hard ones, findings and decoys.

    Args:
        mentions: of its caption.
        known: its `states`.

    Returns:
        Rows {concept, why, start, end}: "negated" where the picture confirms what the caption
        denies, "site" where the concept cannot occur in that organ, "decoy" (null offsets) where
        an absent concept was asked for and nothing convincing was found.
    """
    gone = {row["concept"]: row["why"] for row in known if row["state"] == ABSENT}
    rows: list[Negative] = [
        {"concept": m["concept"], "why": "negated", "start": m["start"], "end": m["end"]}
        for m in mentions
        if m["polarity"] == "negated" and m["concept"] in gone
    ]
    rows += [
        {"concept": m["concept"], "why": "site", "start": m["start"], "end": m["end"]}
        for m in mentions
        if m["polarity"] == "affirmed" and m["reason"] == "finding"
    ]
    decoys = sorted(name for name, why in gone.items() if why == "decoy")
    rows += [{"concept": n, "why": "decoy", "start": None, "end": None} for n in decoys]
    return rows


def _state(
    mentions: Sequence[MentionRow],
    answers: Sequence[JudgedCandidate],
    grounded: bool,
    doubt: str,
    missing: bool,
) -> tuple[State, str]:
    """State of a concept, and why.

    Args:
        mentions: of the concept.
        answers: for it.
        grounded: whether it has a region.
        doubt: why it may be there although it was not found, empty for no reason.
        missing: whether it was looked for and not found.
    """
    polarities = {m["polarity"] for m in mentions}
    roles = {role for c in answers for role in c["roles"]}
    if grounded:
        return PRESENT, "region"
    if "affirmed" in polarities:
        return UNKNOWN, _unmasked(mentions, answers)
    if "uncertain" in polarities:
        return UNKNOWN, "uncertain"
    if "positive" in roles:
        return UNKNOWN, "affirmed_elsewhere"
    if not answers:
        return UNKNOWN, "not_asked"
    if not missing:
        # Every answer that failed, else something that may be it, else it is often missed.
        silent = [c["reason"] for c in answers if c["score"] is None and c["reason"] != "empty"]
        if len(silent) == len(answers) and silent[0]:
            return UNKNOWN, silent[0]
        return UNKNOWN, "found" if any(c["score"] is not None for c in answers) else "missed"
    # Experts who looked everywhere need no other word.
    if doubt and "complete" not in roles:
        return UNKNOWN, doubt
    if "negated" in polarities:
        return ABSENT, "negated"
    return (ABSENT, "decoy") if "decoy" in roles else (UNKNOWN, "denied_elsewhere")


def _unmasked(mentions: Sequence[MentionRow], answers: Sequence[JudgedCandidate]) -> str:
    """Why something that is affirmed has no region."""
    said = [m["reason"] for m in mentions if m["polarity"] == "affirmed" and m["reason"]]
    if said:
        return said[0]
    best = max(answers, key=lambda c: c["score"] or 0.0, default=None)
    return "not_asked" if best is None else best["failed"] or best["reason"] or "unnamed"


def gone(answers: Sequence[JudgedCandidate], absent_below: float) -> bool:
    """Whether a concept was looked for and not found in a convincing way.

    A mask convinces nobody only where it is known how often such a one is right.

    Args:
        answers: for the concept.
        absent_below: see `filters.absent_below`.
    """
    spoke = [c for c in answers if c["score"] is not None or c["reason"] == "empty"]
    return bool(spoke) and all(
        c["score"] is None
        if c["presence"] is None
        else max(c["score"] or 0.0, c["presence"]) < absent_below
        for c in spoke
    )


def _doubt(
    name: str,
    answers: Sequence[JudgedCandidate],
    sites: frozenset[str],
    ruling: frozenset[str],
) -> str:
    """Why a decoy that was not found may be there all the same, empty for no reason.

    Args:
        name: its concept.
        answers: for it.
        sites: organs that the caption tells of.
        ruling: those of them that it names in words of their own.
    """
    if homes(name) & sites:
        return "at_home"
    measured = any(c["presence"] is not None for c in answers)
    return "" if measured or forbidden(concepts().get(name), ruling) else "unmeasured"


def ignored(
    mentions: Sequence[MentionRow],
    candidates: Sequence[JudgedCandidate],
    known: Sequence[KnownConcept],
) -> list[JudgedCandidate]:
    """Of every named concept that stays unknown, the best mask that was not kept.

    Args:
        mentions: of the caption.
        candidates: of its picture, with verdicts and masks.
        known: `states` of the sample.
    """
    named = {m["concept"] for m in mentions}
    unknown = [r["concept"] for r in known if r["state"] == UNKNOWN and r["concept"] in named]
    found: list[JudgedCandidate] = []
    for name in unknown:
        masks = [c for c in candidates if c["concept"] == name and c["area_px"]]
        found += sorted(masks, key=lambda c: (-(c["score"] or 0.0), c["segmenter"]))[:1]
    return found
