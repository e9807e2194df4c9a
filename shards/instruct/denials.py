"""Tasks whose answer is no: what is confirmed to be absent, and requests that assume it.

A refusal may also say that the organ named has no such thing.
"""

from __future__ import annotations

import random

from ner.concepts import concepts
from ner.families import lineage, related
from ner.ground import forbidden, named_sites
from shards.instruct.called import site_of, spoken, tissue_of
from shards.instruct.exchange import DEFAULT, Asked, Exchange
from shards.instruct.nouns import numbered
from shards.instruct.thoughts import chain
from shards.instruct.wordings import pick, quantified
from shards.known import absent as absent_concepts
from shards.known import states
from shards.sample import GroundedSample


def absent(sample: GroundedSample, rng: random.Random, asked: Asked = DEFAULT) -> Exchange | None:
    """Is it there: no, with the reason; only of what is confirmed to be absent."""
    found = [(concept, why) for concept, why in absences(sample) if why != "site"]
    if not found:
        return None
    concept, why = rng.choice(found)
    x = spoken(concept)
    said = pick("present", True, rng, asked.shows, x=x), pick(why, False, rng, asked.shows, x=x)
    return Exchange("absent", *said, denied=concept)


def absences(sample: GroundedSample) -> list[tuple[str, str]]:
    """(concept, why) of what is not there: denied, searched and not found, or not of the organ.

    The organ speaks only of what nobody named or asked for. What is a kind, part or whole of
    something that is there is never among them, unless the text itself denies it.
    """
    known = states(sample)
    there = {r["concept"] for r in sample["regions"]}
    there |= {m["concept"] for m in sample["mentions"] if m["polarity"] != "negated"}
    table = concepts()
    said = sorted(there)
    there |= {up for name in said for up in lineage(name, table)}
    site, sites = site_of(sample), named_sites(sample["facts"], sample["mentions"])
    gone = set(absent_concepts(sample)) - there
    found = {n["concept"]: n["why"] for n in sample["negatives"] if n["concept"] in gone}
    if sites == {site}:
        for concept in table.values():
            if forbidden(concept, sites) and concept.name not in {*there, *known}:
                found[concept.name] = "site"
    return sorted(
        (name, why)
        for name, why in found.items()
        if why == "negated" or not any(related(name, other, table) for other in said)
    )


def refuse(sample: GroundedSample, rng: random.Random, asked: Asked = DEFAULT) -> Exchange | None:
    """A request whose assumption the picture does not bear out: checked, then turned down."""
    found = absences(sample)
    if not found:
        return None
    by_reason: dict[str, list[str]] = {}
    for concept, why in found:
        by_reason.setdefault(why, []).append(concept)
    why = rng.choice(sorted(by_reason))
    concept = rng.choice(by_reason[why])
    x = spoken(concept)
    site = site_of(sample)
    before = quantified(x)
    ground = {
        "site": f"one does not find {before['any']}{x} in {tissue_of(site)}.",
        "negated": f"the picture is free of {before['free']}{x}.",
        "decoy": f"a search of the picture for {before['some']}{x} found nothing convincing.",
    }[why]
    think = chain(
        sample,
        rng,
        request=f"the user takes the {x} to be there.",
        compare=ground,
        respond="tell the user, make nothing up, and ask back.",
    )
    question = "refuse_count" if numbered(concept) and rng.random() < 0.5 else "refuse"
    return Exchange(
        "refuse",
        pick(question, True, rng, asked.shows, x=x),
        pick(f"refuse_{why}", False, rng, asked.shows, x=x, s=tissue_of(site)),
        think=think,
        denied=concept,
    )
