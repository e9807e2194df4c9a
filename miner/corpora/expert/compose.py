"""A text about an annotated picture, composed of what is outlined: true by construction.

Every phrase that names a structure is a mention with its place, so nothing has to be found in it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from miner.corpora.expert.tile import Outlined, Tile
from ner.concepts import concepts

# Objects whose centres lie in a region to this share are said to lie there.
MOST = 0.9
# Regions below this share of the picture are not given in percent.
LEAST_PERCENT = 1
_SINGULAR = {"nuclei": "nucleus", "glomeruli": "glomerulus", "apoptotic bodies": "apoptotic body"}


def compose(tile: Tile) -> tuple[str, list[dict[str, Any]]]:
    """Text and its mentions.

    What is there comes with its count or its share, what was looked for and is not there is denied,
    and objects that nearly all lie in one region are said to do so. Where parts of the picture are
    unknown nothing is denied, and where objects are not told apart none are counted.

    Returns:
        Text, and rows of `miner.core.unit.MENTION`; both empty for a picture of which nothing is
        outlined and nothing denied.
    """
    text = _Text()
    there = [one for one in tile.outlined if one.labels.any()]
    absent = [one for one in tile.outlined if not one.labels.any() and one.complete]
    if tile.unknown is not None and tile.unknown.any():
        absent = []
    if not there and not absent:
        return "", []
    text.add(f"{tile.stain} section" if tile.stain else "Section")
    text.add(f" of the {tile.organ}." if tile.organ else ".")
    objects = [one for one in there if one.apart and _kind(one) == "object"]
    regions = [one for one in there if one not in objects]
    for i, one in enumerate(objects):
        n = int(one.labels.max())
        text.add(_joint(i, len(objects), " There are " if n > 1 else " There is "))
        text.add(f"{n} ")
        text.name(one, plural=n > 1)
    text.add("." if objects else "")
    for i, one in enumerate(regions):
        text.add(_joint(i, len(regions), " The picture shows "))
        text.name(one)
        share = round(100 * np.count_nonzero(one.labels) / one.labels.size)
        text.add(f" ({share}% of it)" if share >= LEAST_PERCENT else "")
    text.add("." if regions else "")
    for one in objects:
        place = _lies_in(one, regions)
        if place is not None:
            text.add(" ")
            text.name(one, capital=True)
            text.add(" lie in the ")
            text.name(place)
            text.add(".")
    for i, one in enumerate(absent):
        text.add(_joint(i, len(absent), " "))
        text.add("no " if i else "No ")
        text.name(one, denied=True)
    text.add(" can be seen." if absent else "")
    return text.text, text.mentions


class _Text:
    """A text that grows, and the mentions in it."""

    def __init__(self) -> None:
        self.text = ""
        self.mentions: list[dict[str, Any]] = []

    def add(self, words: str) -> None:
        self.text += words

    def name(
        self, one: Outlined, plural: bool = True, denied: bool = False, capital: bool = False
    ) -> None:
        phrase = one.phrase if plural else singular(one.phrase)
        phrase = phrase[:1].upper() + phrase[1:] if capital else phrase
        polarity = "negated" if denied else "affirmed"
        start = len(self.text)
        self.text += phrase
        self.mentions.append(
            {
                "start": start,
                "end": len(self.text),
                "text": phrase,
                "concept": one.concept,
                "kind": _kind(one),
                "polarity": polarity,
                "sources": ["expert"],
                "votes": [f"expert:{polarity}"],
                "groundable": not denied,
                "reason": "negated" if denied else None,
                "turn": None,
            }
        )


def singular(phrase: str) -> str:
    """One of what a class's phrase names several of."""
    if phrase in _SINGULAR:
        return _SINGULAR[phrase]
    if phrase.endswith("ies"):
        return f"{phrase[:-3]}y"
    return phrase.removesuffix("s")


def _kind(one: Outlined) -> str:
    return concepts()[one.concept].kind


def _joint(i: int, n: int, first: str) -> str:
    """What stands before item `i` of `n`."""
    return first if i == 0 else " and " if i == n - 1 else ", "


def _lies_in(one: Outlined, regions: list[Outlined]) -> Outlined | None:
    """The region that nearly all of some objects lie in with their centres, if there are several.

    A region of nearly the whole picture says nothing.
    """
    n = int(one.labels.max())
    if n < 2 or not regions:
        return None
    ys, xs = np.nonzero(one.labels)
    ids = one.labels[ys, xs] - 1
    size = np.bincount(ids, minlength=n)
    y = np.round(np.bincount(ids, ys, n) / size).astype(int)
    x = np.round(np.bincount(ids, xs, n) / size).astype(int)
    for region in regions:
        inside = region.labels > 0
        if inside.mean() < MOST and inside[y, x].mean() >= MOST:
            return region
    return None
