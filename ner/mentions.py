"""What the extractors return: mentions of structures and facts about the picture."""

from __future__ import annotations

from typing import NamedTuple


class Mention(NamedTuple):
    """A phrase that names a structure one can see: a `miner.core.rows.MentionRow` on its way.

    `text` is `text[start:end]` of the caption, `concept` a key of `ner.concepts.concepts()`;
    sources and votes are sorted.
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
    """Something the caption says about the picture as a whole: a `miner.core.rows.FactRow`.

    The value is canonical, such as "colon", "H&E", "40x" or "low power".
    """

    kind: str
    value: str
    start: int
    end: int


class Extraction(NamedTuple):
    """All that was found in one text."""

    mentions: tuple[Mention, ...]
    facts: tuple[Fact, ...]
