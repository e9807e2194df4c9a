"""What the extractors return: mentions of structures and facts about the picture."""

from __future__ import annotations

from typing import NamedTuple


class Mention(NamedTuple):
    """A phrase that names a structure one can see.

    Attributes:
        start: first character of the phrase in the text, from 0.
        end: end-exclusive last character.
        text: the phrase itself, `text[start:end]` of the caption.
        concept: canonical name, always a key of `ner.concepts.concepts()`.
        kind: "object" for countable things, "stuff" for regions and substances.
        polarity: affirmed, negated or uncertain, read at the mention.
        sources: extractors that found it, sorted.
        votes: `source:polarity` per extractor, sorted; tells where the sources disagree.
        groundable: whether a mask may be asked for as a positive label.
        reason: why it is not groundable, else None.
        turn: index into the turns of a dialogue, None for a plain caption.
    """

    start: int
    end: int
    text: str
    concept: str
    kind: str
    polarity: str = "affirmed"
    sources: tuple[str, ...] = ("lexicon",)
    votes: tuple[str, ...] = ()
    groundable: bool = True
    reason: str | None = None
    turn: int | None = None


class Fact(NamedTuple):
    """Something the caption says about the picture as a whole.

    Attributes:
        kind: site, stain, magnification, diagnosis, specimen.
        value: canonical value, such as "colon", "H&E", "40x" or "low power".
        start: first character of the words that say so, from 0.
        end: end-exclusive last character.
    """

    kind: str
    value: str
    start: int
    end: int


class Extraction(NamedTuple):
    """All that was found in one text."""

    mentions: tuple[Mention, ...]
    facts: tuple[Fact, ...]
