"""How a region, a concept and the organ of a sample are called in its dialogues."""

from __future__ import annotations

from shards.instruct.nouns import article, countable, many, named, plural, single, written
from shards.instruct.nouns import one as singular
from shards.sample import GroundedSample

# Sites that no tissue is called by.
_PLACES = frozenset(
    "anus,aorta,bile duct system,ear,eye,joint,limb,nose,oral cavity,pleura,retroperitoneum,"
    "spinal cord,vulva".split(",")
)


def name_of(sample: GroundedSample, region: int) -> str:
    """How the text calls a region: its first mention, else the concept; in number as marked."""
    one = sample["regions"][region]
    said = (m["text"] for m in sample["mentions"] if region in m["regions"])
    text = written(next(said, one["concept"]))
    if one["kind"] != "object" or not one["instances"]:
        return text
    return counted_name(sample, region, len(one["instances"]))


def counted_name(sample: GroundedSample, region: int, number: int = 2) -> str:
    """How objects of that number are called: the words of the text, else the concept's name."""
    one = sample["regions"][region]
    said = (m["text"] for m in sample["mentions"] if region in m["regions"])
    text = written(next(said, one["concept"]))
    if one["kind"] != "object":
        return text
    if number == 1:
        return singular(text)
    if many(text) or not countable(text):
        return text if many(text) else named(one["concept"])
    return plural(text)


def article_of(sample: GroundedSample, region: int) -> str:
    """What stands before the name of a region that is one thing; nothing before others."""
    name = name_of(sample, region)
    return article(name) if single(name) or counted_name(sample, region) != name else ""


def telling(sample: GroundedSample) -> list[int]:
    """Regions that are worth a question: nobody asks for cells as such, or for chromatin."""
    return [
        i
        for i, region in enumerate(sample["regions"])
        if region["concept"] != "chromatin" and singular(name_of(sample, i)) != "cell"
    ]


def site_of(sample: GroundedSample) -> str | None:
    """The organ, when the text names exactly one."""
    sites = {f["value"] for f in sample["facts"] if f["kind"] == "site"}
    return next(iter(sites)) if len(sites) == 1 else None


def spoken(concept: str) -> str:
    """A concept that is not in the text, as one says it: plural where it can be counted."""
    return named(concept)


def tissue_of(site: str | None) -> str:
    """What a picture of an organ shows: kidney tissue, soft tissue, tissue of the oral cavity."""
    if not site or site.endswith(("tissue", "blood")):
        return site or "tissue"
    return f"tissue of the {site}" if site in _PLACES else f"{site} tissue"
