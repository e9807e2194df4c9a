"""Chains of thought in front of answers: what is asked, seen, checked, to be said."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence

from ner.concepts import concepts
from ner.families import lineage
from shards.instruct.called import article_of, counted_name, name_of, site_of, telling, tissue_of
from shards.instruct.exchange import Exchange
from shards.instruct.nouns import many, written
from shards.instruct.wordings import THINK
from shards.sample import GroundedSample


def thought(exchange: Exchange, sample: GroundedSample, rng: random.Random) -> Exchange:
    """An exchange whose answer holds, with a chain of thought in front of it."""
    phrases = [exchange.answer[start:end] for start, end, _ in exchange.grounded]
    if not phrases or exchange.task == "describe":
        return exchange
    x = " and ".join(f"the {written(phrase)}" for phrase in phrases)
    asked = "the object that is marked" if exchange.prompt else x
    if exchange.task == "present":  # "the" would take for granted what is asked
        asked = counted_name(sample, exchange.grounded[0][2])
    several = len(phrases) > 1 or many(x)
    verb, it = ("are", "them") if several else ("is", "it")
    there = f"{x} {verb} there and can be marked."
    if exchange.task == "compare":
        cover = "cover" if many(phrases[0]) else "covers"
        there = f"both can be marked, and the {written(phrases[0])} {cover} more."
    think = chain(
        sample,
        rng,
        request=f"the user asks about {asked}.",
        compare=there,
        respond=f"tell the user, and mark {it}.",
    )
    return dataclasses.replace(exchange, think=think)


def chain(sample: GroundedSample, rng: random.Random, **steps: str) -> str:
    """A chain of thought in one of its wordings: what is asked, seen, checked, to be said."""
    seen = sorted({article_of(sample, i) + name_of(sample, i) for i in _most_special(sample)})
    can = "can be seen" if seen else "no structure in it is marked"
    site = site_of(sample)
    what = f"this appears to be {tissue_of(site)}" if site else "the organ cannot be told"
    think = rng.choice(THINK)
    for name, text in {"input": f"{what}; {_listed(seen)}{can}.", **steps}.items():
        think = think.replace("{" + name + "}", text)
    return think


def _most_special(sample: GroundedSample) -> list[int]:
    """Regions to be named together: of nuclei and epithelial nuclei the latter."""
    found = telling(sample) or [*range(len(sample["regions"]))]
    table = concepts()
    called = {i: sample["regions"][i]["concept"] for i in found}
    above = {up for name in called.values() for up in lineage(name, table) if up != name}
    return [i for i in found if called[i] not in above]


def _listed(names: Sequence[str]) -> str:
    """Names as one lists them, with a blank behind them."""
    front, last = ", ".join(names[:-1]), "".join(names[-1:])
    return " and ".join(part for part in (front, last) if part) + " " * bool(names)
