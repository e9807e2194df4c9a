"""Mentions and their masks held against the phrases that a gold names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from miner.core.names import stem
from miner.evaluate.regions import Judged

OVERLAP = 0.5  # of characters, IoU, from which on two spans are one phrase
GROUNDABLE = ("object", "stuff")


def phrases(
    gold: Sequence[Mapping[str, Any]],
    captions: Iterable[Mapping[str, Any]],
    judged: Sequence[Judged],
) -> dict[str, Any] | None:
    """Which of the gold's phrases were found, and which of them got a right mask.

    Args:
        gold: rows with corpus, image, caption, mentions.
        captions: rows with corpus, image, caption and our mentions (start, end, concept, polarity,
            kind), of every caption of the run.
        judged: regions of the run.

    Returns:
        None where no caption is in the gold; else captions; phrases (affirmed objects and
        substances of the gold), named (ours), found, precision, recall, f1; polarity: share of the
        phrases of any polarity that are found with the gold's; outlined: phrases that experts
        outlined, grounded: of them with a mask, right: with a right one, grounded_recall.
    """
    ours = {
        (c["corpus"], stem(c["image"]), c["caption"]): (c["image"], c["mentions"] or ())
        for c in captions
    }
    right = {(j.corpus, j.image, j.concept): j.right for j in judged}
    sums = dict.fromkeys(
        ("captions", "phrases", "named", "found", "outlined", "grounded", "right", "any", "alike"),
        0,
    )
    for row in gold:
        found = ours.get((row["corpus"], stem(row["image"]), row.get("caption")))
        if found is None:
            continue
        image, mentions = found
        place = row["corpus"], image
        sums["captions"] += 1
        known = [m for m in row["mentions"] if m.get("kind") in GROUNDABLE]
        stated = [m for m in mentions if m.get("turn") is None and m["kind"] in GROUNDABLE]
        pairs = _paired(known, stated)
        sums["any"] += len(pairs)
        sums["alike"] += sum(g["polarity"] == m["polarity"] for g, m in pairs)
        sums["phrases"] += sum(m["polarity"] == "affirmed" for m in known)
        sums["named"] += sum(m["polarity"] == "affirmed" for m in stated)
        both = [(g, m) for g, m in pairs if g["polarity"] == m["polarity"] == "affirmed"]
        sums["found"] += len(both)
        sums["outlined"] += sum(bool(m.get("mask_path")) for m in known)
        for phrase, mention in both:
            if phrase.get("mask_path") and (*place, mention["concept"]) in right:
                sums["grounded"] += 1
                sums["right"] += bool(right[*place, mention["concept"]])
    if not sums["captions"]:
        return None
    precision, recall = _share(sums["found"], sums["named"]), _share(sums["found"], sums["phrases"])
    alike, any_ = sums.pop("alike"), sums.pop("any")
    return {
        **sums,
        "precision": precision,
        "recall": recall,
        "f1": _share(2 * sums["found"], sums["named"] + sums["phrases"]),
        "polarity": _share(alike, any_),
        "grounded_recall": _share(sums["right"], sums["outlined"]),
    }


def _paired(
    gold: Sequence[Mapping[str, Any]], ours: Sequence[Mapping[str, Any]]
) -> list[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Pairs of phrases that overlap enough, each in one pair, those that overlap most first."""
    ranked = sorted(
        ((_overlap(g, m), i, j) for i, g in enumerate(gold) for j, m in enumerate(ours)),
        key=lambda found: (-found[0], found[1], found[2]),
    )
    taken_gold: set[int] = set()
    taken_ours: set[int] = set()
    pairs = []
    for overlap, i, j in ranked:
        if overlap < OVERLAP:
            break
        if i not in taken_gold and j not in taken_ours:
            taken_gold.add(i)
            taken_ours.add(j)
            pairs.append((gold[i], ours[j]))
    return pairs


def _overlap(one: Mapping[str, Any], other: Mapping[str, Any]) -> float:
    inside = min(one["end"], other["end"]) - max(one["start"], other["start"])
    outside = max(one["end"], other["end"]) - min(one["start"], other["start"])
    return max(inside, 0) / outside


def _share(above: int, below: int) -> float | None:
    return round(above / below, 4) if below else None
