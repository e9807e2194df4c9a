"""Captions of compound figures: which part speaks of which panel.

"(A) Glands. (B) Stroma." leads with its letters, "Glands (A) and stroma (B)." trails them. What
stands before the first part, or behind none, speaks of the whole figure.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_LIST = r"[A-Ha-h](?:\s*(?:,|;|and|&|to|-|\u2013|\u2014)\s*[A-Ha-h])*"
_BRACKETED = re.compile(rf"[(\[]\s*(?:panels?\s+|figs?\.?\s*)?({_LIST})\s*[)\]]")
_BARE = re.compile(rf"(?:(?<=^)|(?<=[.;:]\s)|(?<=\n))({_LIST})\s*[.:,)]\s+(?=\S)")
_RANGE = re.compile(r"\s*(?:to|-|\u2013|\u2014)\s*")
_ENDS = re.compile(r"[.;:!?]\s*$")
_LEAST = 2  # letters, or there is nothing to tell apart


class Part(NamedTuple):
    """A part of a caption.

    Attributes:
        letters: upper-case, of the panels that it speaks of.
        start: first character.
        end: character behind the last.
    """

    letters: frozenset[str]
    start: int
    end: int


def parts(caption: str) -> list[Part]:
    """Parts of a caption by the letters of panels; none where it is of one picture.

    The letters of all parts must be A, B, ... without a gap: an abbreviation is none of them.
    """
    for marks in (list(_BRACKETED.finditer(caption)), list(_BARE.finditer(caption))):
        found = [(frozenset(_letters(mark.group(1))), mark) for mark in marks]
        named = sorted(frozenset().union(*(letters for letters, _ in found))) if found else []
        if len(named) < _LEAST or named != [chr(ord("A") + i) for i in range(len(named))]:
            continue
        first = caption[: marks[0].start()]
        leads = not first.strip() or _ENDS.search(first) is not None
        return _leading(caption, found) if leads else _trailing(caption, found)
    return []


def letters_at(found: list[Part], start: int) -> frozenset[str]:
    """Letters of the panels that the words at a character speak of; none for the whole figure."""
    return next((p.letters for p in found if p.start <= start < p.end), frozenset())


def _leading(caption: str, found: list[tuple[frozenset[str], re.Match[str]]]) -> list[Part]:
    ends = [*(mark.start() for _, mark in found[1:]), len(caption)]
    return [
        Part(letters, mark.end(), end) for (letters, mark), end in zip(found, ends, strict=True)
    ]


def _trailing(caption: str, found: list[tuple[frozenset[str], re.Match[str]]]) -> list[Part]:
    """The words from the last mark, or the sentence's beginning, to the mark."""
    result, before = [], 0
    for letters, mark in found:
        breaks = [m.end() for m in re.finditer(r"[.;!?]\s+", caption[before : mark.start()])]
        start = before + breaks[-1] if breaks else before
        result.append(Part(letters, start, mark.start()))
        before = mark.end()
    return result


def _letters(text: str) -> list[str]:
    """Upper-case letters of a list such as "A, C" or "A-C"."""
    singles = re.findall(r"\b[A-Ha-h]\b", text)
    if len(singles) == 2 and _RANGE.search(text[1:-1]) and not re.search(r",|and|&", text):
        low, high = (ord(s.upper()) for s in singles)
        return [chr(code) for code in range(low, high + 1)]
    return [s.upper() for s in singles]
