"""What a text says of nouns by signs: "Necrosis: -", "mucin (+)", "?amyloid", "0% fat"."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ner.cues import CueEffect, Nouns
from ner.phrases import Reading
from ner.tokens import SOFT
from ner.vocabulary import DETERMINER

# Signs for words: "Necrosis: -", "mucin (+)", "amyloid: +/-".
_SIGN = re.compile(
    r"(?P<says>\s?[:=|]\s?[(\[]?|\s?[(\[]\s?|\s)"
    r"(?:(?P<uncertain>\+\s?/\s?[-\u2013\u2212]|\u00b1|\?)|(?P<affirmed>\d?\+{1,4})"
    r"|(?P<negated>[-\u2013\u2212])(?:\s?ve\b)?)[)\]]?(?=\s?(?:[.,;|)\]]|$|\n|(?P<next>\s)))"
)
_HAS_SIGN = re.compile(r"[-+\u00b1\u2013\u2212?](?:\s?ve)?[)\]]?(?=[\s.,;|)\]]|$)|\?\w|\b0\s?%")
# A question mark before a word ("?granuloma", "cells (? mast cells)"), and a share of nothing.
_ASKED = re.compile(r"(?:(?:^|[(\[,;:]\s?)\?\s?|(?<=\s)\?)(?=\w)")
_NOTHING = re.compile(r"(?<![\d.,<>-])0(?=\s?%\s)")


def has_signs(text: str) -> bool:
    """Whether a text may say something by a sign."""
    return _HAS_SIGN.search(text) is not None


def signs(reading: Reading, nouns: Nouns) -> Iterator[CueEffect]:
    """Yield what signs before and behind nouns say of them."""
    if "?" in reading.text or "%" in reading.text:
        yield from _before_nouns(reading, nouns)
    for last in sorted(nouns.last):
        found = _SIGN.match(reading.text, reading.ends[last - 1])
        if found is None:
            continue
        bracketed = "(" in found["says"] or "[" in found["says"]
        if found["next"] and not (bracketed or last in nouns.fields):
            continue
        if found["uncertain"] == "?" and found["says"] == " ":
            continue  # a question mark with a blank before it
        effect = next(name for name in ("uncertain", "affirmed", "negated") if found[name])
        alone = bracketed and effect == "uncertain" and last not in nouns.fields
        yield CueEffect(last, last, "noun" if alone else "value", effect)


def _before_nouns(reading: Reading, nouns: Nouns) -> Iterator[CueEffect]:
    """Yield what a question mark or a share of nothing says of the noun behind it."""
    firsts = {start: i for i, start in enumerate(reading.starts)}
    for match in _ASKED.finditer(reading.text):
        last = _next_noun(reading, nouns, firsts.get(match.end()))
        if last is not None:
            yield CueEffect(last, last, "noun", "uncertain")
    for match in _NOTHING.finditer(reading.text):
        i = firsts.get(match.start())
        if i is None:
            continue
        if i and reading.words[i - 1].lemma == "in":  # "necrosis in 0% of the nests"
            yield CueEffect(i - 1, i + 1, "backward", "negated")
        elif i not in nouns.last or "," in reading.gaps[i - 1]:
            yield CueEffect(i, i + 1, "forward", "negated")


def _next_noun(reading: Reading, nouns: Nouns, i: int | None) -> int | None:
    """Return the end-exclusive last word of the noun phrase that opens at word i, if one does."""
    while i is not None and i < len(reading.words):
        last = nouns.first.get(i)
        if last is not None:
            return last
        word = reading.words[i]
        if reading.gaps[i] not in SOFT or (word.entry is None and not word.flags & DETERMINER):
            return None
        i += 1
    return None
