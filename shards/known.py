"""What a sample knows of its picture: what is there, what is confirmed to be absent, what is open.

A caption names some of what a picture shows. What it does not name is unknown, not absent, and so
is what it names without a mask that was kept. Consumers that turn silence into absence are told
only what stands here.
"""

from __future__ import annotations

import dataclasses

from filters.scores import NOT_MEASURED
from ner.families import likely
from ner.ground import sites_of
from shards.sample import ABSENT, PRESENT, UNKNOWN, GroundedSample, Negative, Region, State

CONFIRMED = ("negated", "decoy")  # denied and not found, searched for and not found


@dataclasses.dataclass(frozen=True)
class Checked:
    """A phrase that somebody may be asked about this picture.

    Attributes:
        text: the phrase, in lower case.
        concept: canonical name.
        region: what it points to; None where the structure is confirmed to be absent.
    """

    text: str
    concept: str
    region: Region | None


def checked(sample: GroundedSample) -> list[Checked]:
    """Phrases whose answer is known, each text once: first those with a region.

    A text that is both (two mentions at odds) is left out of the absent ones, and so is every name
    of a concept that has a region.
    """
    found: dict[str, Checked] = {}
    for mention in sample["mentions"]:
        text = plain(mention["text"])
        if mention["polarity"] == "affirmed" and mention["regions"] and text:
            region = sample["regions"][mention["regions"][0]]
            found.setdefault(text, Checked(text, mention["concept"], region))
    gone = absent(sample)
    for negative in sample["negatives"]:
        if negative["concept"] in gone and negative["why"] in CONFIRMED:
            text = plain(_name(sample, negative))
            found.setdefault(text, Checked(text, negative["concept"], None))
    return list(found.values())


def plain(text: str) -> str:
    """A phrase in lower case with single blanks."""
    return " ".join(text.lower().split())


def states(sample: GroundedSample) -> dict[str, State]:
    """State of every concept of a sample: present, absent or unknown.

    Shards of format 1 do not state it; there it follows from regions, mentions and negatives.
    """
    stated = {c["concept"]: c["state"] for c in sample.get("concepts") or ()}
    if stated:
        return stated
    found = {m["concept"]: UNKNOWN for m in sample["mentions"]}
    found |= {n["concept"]: ABSENT for n in sample["negatives"] if n["why"] in CONFIRMED}
    return found | {r["concept"]: PRESENT for r in sample["regions"]}


def completed(sample: GroundedSample) -> GroundedSample:
    """A sample with all fields, whatever format its shard has: what it did not measure is null."""
    unmeasured = {
        "exhaustive": None, "exhaustive_why": NOT_MEASURED, "count": None, "count_why": NOT_MEASURED
    }  # fmt: skip
    whys = {n["concept"]: n["why"] for n in sample["negatives"]}
    rows = [
        {
            "concept": name,
            "state": state,
            "p": None,
            "why": {PRESENT: "region", ABSENT: whys.get(name, "")}.get(state, NOT_MEASURED),
        }
        for name, state in states(sample).items()
    ]
    regions = [{**unmeasured, **region} for region in sample["regions"]]
    new = {
        "generated": False,
        "generated_from": None,
        "concepts": rows,
        "ignored": [],
        "slide": None,
    }
    return {**new, **sample, "regions": regions}  # type: ignore[typeddict-item]


def absent(sample: GroundedSample) -> list[str]:
    """Concepts that are confirmed to be absent, sorted.

    Of what was searched for in vain none is a kind, part or whole of what is named or there, nor
    at home in the organ that the text names: a search that found nothing does not outweigh that.
    """
    gone = [name for name, state in states(sample).items() if state == ABSENT]
    if not gone:
        return []
    denied = {n["concept"] for n in sample["negatives"] if n["why"] == "negated"}
    named = {m["concept"] for m in sample["mentions"] if m["polarity"] != "negated"}
    named |= {r["concept"] for r in sample["regions"]}
    sites = sites_of(sample["facts"])
    return sorted(name for name in gone if name in denied or not likely(name, named, sites))


def unsettled(sample: GroundedSample, certain: float) -> list[str]:
    """Concepts of which more may be there than the sample has, sorted.

    Those that are named or asked without a mask that was kept, in doubt, or whose region is not
    known to be all of it.

    Args:
        sample: a grounded sample.
        certain: least `exhaustive` of a region that counts as all of its concept.
    """
    whole = {r["concept"] for r in sample["regions"] if is_whole(r, certain)}
    known = states(sample)
    return sorted(name for name in known if known[name] != ABSENT and name not in whole)


def is_whole(region: Region, certain: float) -> bool:
    """Whether a region is known to be all of its concept in the picture."""
    return (region.get("exhaustive") or 0.0) >= certain


def _name(sample: GroundedSample, negative: Negative) -> str:
    """A denied concept as the text calls it; a decoy by its name."""
    for mention in sample["mentions"]:
        if (
            mention["concept"] == negative["concept"]
            and mention["start"] == negative["start"]
            and mention["polarity"] != "affirmed"
        ):
            return mention["text"]
    return negative["concept"]
