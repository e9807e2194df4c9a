"""What a sample knows of its picture: what is there, what is confirmed to be absent, what is open.

A caption names some of what a picture shows. What it does not name is unknown, not absent, and so
is what it names without a mask that was kept. Consumers that turn silence into absence are told
only what stands here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from shards.sample import GroundedSample, Negative, Region

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
    present = {r["concept"] for r in sample["regions"]}
    for negative in sample["negatives"]:
        if negative["why"] not in CONFIRMED or negative["concept"] in present:
            continue
        text = plain(_name(sample, negative))
        found.setdefault(text, Checked(text, negative["concept"], None))
    return list(found.values())


def plain(text: str) -> str:
    """A phrase in lower case with single blanks."""
    return " ".join(text.lower().split())


def absent(sample: GroundedSample) -> list[str]:
    """Concepts that are confirmed to be absent, sorted."""
    return sorted({c.concept for c in checked(sample) if c.region is None})


def unsettled(sample: GroundedSample, certain: float) -> list[str]:
    """Concepts of which more may be there than the sample has, sorted.

    Those that are named without a mask, in doubt, or whose region is not known to be all of it.

    Args:
        sample: a grounded sample.
        certain: least `exhaustive` of a region that counts as all of its concept.
    """
    whole = {r["concept"] for r in sample["regions"] if is_whole(r, certain)}
    named = {m["concept"] for m in sample["mentions"]} | {r["concept"] for r in sample["regions"]}
    return sorted(named - whole - set(absent(sample)))


def is_whole(region: Mapping[str, Any], certain: float) -> bool:
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
