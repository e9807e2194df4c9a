"""Captions that name nothing that could be outlined, with a sentence of what was kept there.

Another caption of the picture named it, and its mask was kept. The sentence stands behind the
published text, and the sample says where it begins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from miner.core.rows import JudgedCandidate, MentionRow, SampleRow
from ner.concepts import concepts
from ner.families import related
from shards.instruct.nouns import named, written

# Why a caption names nothing: all reasons of `ner.stage.no_entity` but that it only asks.
SAYS_NOTHING = frozenset(
    {"no_mention", "only_negated", "only_uncertain", "finding", "scale", "specimen", "vague"}
)
NOTE = "rewritten"
SOURCE = "verified"


def verified(
    sample: SampleRow,
    by_concept: Mapping[str, Sequence[int]],
    candidates: Sequence[JudgedCandidate],
) -> tuple[int, ...]:
    """Kept masks of the picture of a caption that names nothing, none where it is no such caption.

    What the caption speaks of in any way is left out, and so are kinds, parts and wholes of that
    and what a segmenter tells by the same words: nothing may contradict what was published.

    Args:
        sample: of it mentions, status, reason and turns.
        by_concept: numbers of the candidates of its picture.
        candidates: of all of them concept, keep and roles.
    """
    if sample["status"] != "no_entity" or sample["reason"] not in SAYS_NOTHING or sample["turns"]:
        return ()
    spoken = {mention["concept"] for mention in sample["mentions"] or ()}
    return tuple(
        i
        for concept, rows in by_concept.items()
        if not any(_kin(concept, one) for one in spoken)
        for i in rows
        if candidates[i]["keep"] and "positive" in candidates[i]["roles"]
    )


def rewritten(sample: SampleRow, kept: Sequence[JudgedCandidate]) -> SampleRow:
    """The caption row with a sentence such as "The picture shows glands and stroma" behind it.

    Args:
        sample: row of a unit.
        kept: its candidates, at least one.

    Returns:
        The row with caption, mentions and `generated_from`.
    """
    published = sample["caption"].rstrip()
    text = published + ("" if not published or published[-1] in ".!?:;" else ".")
    text += (" " if text else "") + "The picture shows "
    mentions: list[MentionRow] = []
    shown = list({one["concept"]: one for one in kept}.values())
    for i, one in enumerate(shown):
        single = one["kind"] == "object" and len(one["instances"]) == 1
        name = written(one["concept"]) if single else named(one["concept"])
        text += "" if i == 0 else " and " if i == len(shown) - 1 else ", "
        text += ("an " if name[0] in "aeiou" else "a ") if single else ""
        mentions.append(_mention(one, len(text), name))
        text += name
    return {
        **sample,
        "caption": f"{text}.",
        "mentions": [*(sample["mentions"] or ()), *mentions],
        "generated_from": len(published),
    }


def _kin(first: str, second: str) -> bool:
    """Whether who denies the one may deny the other."""
    table = concepts()
    told = [set(table[name].biomedparse) if name in table else {name} for name in (first, second)]
    return first == second or related(first, second, table) or bool(told[0] & told[1])


def _mention(candidate: JudgedCandidate, start: int, name: str) -> MentionRow:
    return {
        "start": start,
        "end": start + len(name),
        "text": name,
        "concept": candidate["concept"],
        "kind": candidate["kind"],
        "polarity": "affirmed",
        "sources": [SOURCE],
        "votes": [f"{SOURCE}:affirmed"],
        "groundable": True,
        "reason": None,
        "turn": None,
    }
