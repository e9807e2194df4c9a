"""From the text of an answer to verbatim spans of the caption."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any, NamedTuple

from miner.core.answers import spoken, values

_POLARITIES = ("affirmed", "negated", "uncertain")
_LONGEST_NAME = 80  # characters of a concept


class Span(NamedTuple):
    """A phrase of the caption that the LLM named, characters start:end (end-exclusive)."""

    start: int
    end: int
    polarity: str
    concept: str


def items(content: str) -> list[dict[str, Any]] | None:
    """Return the mention objects of an answer, or None when it holds none.

    The last complete answer counts: an object with `mentions`, or a bare list of mentions. Of an
    answer that was cut, what is whole of it is taken.
    """
    found = values(content)
    for value in reversed(found):
        if isinstance(value, dict):
            value = value.get("mentions")
        elif value == [] and len(found) > 1:
            continue  # an aside, or the end of something that was cut
        if isinstance(value, list) and all(map(_is_mention, value)):
            return value
    cut = spoken(content)
    cut = cut[max(cut.rfind('"mentions"'), 0) :]
    return [value for value in values(cut) if _is_mention(value)] or None


def _is_mention(value: Any) -> bool:
    return isinstance(value, dict) and "text" in value


def anchor(caption: str, answers: list[dict[str, Any]], counts: Counter[str]) -> list[Span]:
    """Return the answers that are spans of the caption, in order, without overlaps.

    A phrase that occurs once is taken where it stands. One that occurs as often as it was named is
    given to its occurrences in order. A phrase that differs only in case or white space is taken
    when that leaves one place. All others are dropped.

    Args:
        caption: the caption as published.
        answers: mention objects as the LLM wrote them.
        counts: gets `reanchored`, `ambiguous`, `invented`, `overlapping`, `malformed` added.
    """
    wanted: dict[str, list[dict[str, Any]]] = {}
    for answer in answers:
        text = answer.get("text")
        if not isinstance(text, str) or not text.strip():
            counts["malformed"] += 1
            continue
        if len(text) > len(caption):
            counts["invented"] += 1
            continue
        wanted.setdefault(text.strip(), []).append(answer)
    spans: list[Span] = []
    for text, named in wanted.items():
        places = [found.span() for found in re.finditer(re.escape(text), caption)]
        places = [place for place in places if _whole_words(caption, *place)]
        if not places:
            loose = r"\s+".join(re.escape(word) for word in text.split())
            places = [found.span() for found in re.finditer(loose, caption, re.IGNORECASE)]
            places = [place for place in places if _whole_words(caption, *place)]
            if len(places) == 1:
                counts["reanchored"] += len(named)
        if not places:
            counts["invented"] += len(named)
        elif len(places) == 1:
            spans.append(_span(places[0], named[0]))
        elif len(places) == len(named):
            spans += [_span(place, one) for place, one in zip(places, named, strict=True)]
        else:
            counts["ambiguous"] += len(named)
    spans.sort()
    kept: list[Span] = []
    for span in spans:
        if kept and span.start < kept[-1].end:
            counts["overlapping"] += 1
        else:
            kept.append(span)
    return kept


def _span(place: tuple[int, int], answer: dict[str, Any]) -> Span:
    polarity, concept = answer.get("polarity"), answer.get("concept")
    return Span(
        *place,
        polarity if polarity in _POLARITIES else "uncertain",
        concept if isinstance(concept, str) and _is_name(concept) else "",
    )


def _is_name(concept: str) -> bool:
    return len(concept) <= _LONGEST_NAME and concept.isprintable()


def _whole_words(caption: str, start: int, end: int) -> bool:
    before = caption[start - 1 : start]
    after = caption[end : end + 1]
    return not (before.isalnum() and caption[start].isalnum()) and not (
        after.isalnum() and caption[end - 1].isalnum()
    )
