"""What a caption states of its picture: organ, stain, magnification, diagnosis, specimen.

What is denied or doubted states nothing. Where no word names the organ a diagnosis tells it
("melanoma", but not where something metastatic is spoken of), and where there is none the
structures do ("glomeruli"); a marker tells that the stain is an immunostain, unless results of
several are listed ("ER-, PR-, HER2-"). The strata of a row (`ner.strata`) and the site guard
(`ner.ground`) see these facts.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterator, Sequence

from ner.mentions import Fact
from ner.phrases import Phrase, Reading
from ner.vocabulary import IDENTITY, TIMES

# Numbers apart from their sign, or with a true multiplication sign; "3 x 4 cm" is a size.
_TIMES = re.compile(
    r"(?:(?<!\d)(?<!\d\s)[x\u00d7]\s?(\d{1,4}(?:\.\d)?)|\b(\d{1,4}(?:\.\d)?)\s?[x\u00d7])"
    r"(?![\w\u00d7])(?!\s?\d)",
    re.IGNORECASE,
)
# What a marker was found to be: "ER-", "PR (+)", "HER2 3+", "CD3-positive".
_RESULT = re.compile(
    r"\s?(?:[:(]\s?)?\d?(?:[-\u2013\u2212]|\+{1,3})[)]?(?=[\s.,;/)]|$)"
    r"|\s?(?:[-:(]\s?)?(?:is\s|was\s)?(?:positive|negative|pos|neg)\b",
    re.IGNORECASE,
)


def facts_of(reading: Reading, said: Sequence[str], stated: Sequence[str]) -> tuple[Fact, ...]:
    """Return the facts of a reading, in order.

    Args:
        reading: the text.
        said: polarity of each of its phrases.
        stated: polarity of each of its facts.
    """
    found = []
    homes: list[Phrase] = []  # diagnoses that tell an organ
    sited = stained = False
    apart = "\u00d7" in reading.text  # whether a number may stand apart from its sign
    doubted = [p for i, p in enumerate(reading.phrases) if said[i] != "affirmed"]
    for i, phrase in enumerate(reading.facts):
        if stated[i] != "affirmed" or _within(phrase, doubted):
            continue
        entry = phrase.entry
        kind = entry.fact
        if kind == "site":
            sited = True
        elif kind == "stain":
            stained = True
        elif kind == "magnification":
            apart = apart or _has_point(reading, phrase)
        elif entry.home:
            homes.append(phrase)
        value = entry.head if entry.kind == IDENTITY else entry.name
        found.append(Fact(kind, value, *reading.span(phrase)))
    if not sited:
        if not homes or any(word.lemma.startswith("metasta") for word in reading.words):
            homes = [
                phrase
                for i, phrase in enumerate(reading.phrases)
                if phrase.entry.home and said[i] == "affirmed"
            ]
        if homes:
            found += _implied(reading, homes)
    statuses = _statuses(reading)
    for item in reading.others:
        if item.entry.name == TIMES:
            apart = True
        elif item.entry.home and not stained and item.first not in statuses:
            stained = True
            span = reading.span(Phrase(item.first, item.last, item.entry, ""))
            found.append(Fact("stain", item.entry.home, *span))
    if apart:
        found = [fact for fact in found if not _is_number(fact)]
        found += _numbers(reading)
    if len(found) > 1:
        found.sort(key=_start)
    return tuple(found)


def _statuses(reading: Reading) -> frozenset[int]:
    """First words of markers whose results are listed: "ER-, PR-, HER2-" is a case, no stain.

    A picture shows one stain; what several markers were is known from elsewhere.
    """
    listed = frozenset(
        item.first
        for item in reading.others
        if item.entry.home and _RESULT.match(reading.text, reading.ends[item.last - 1])
    )
    return listed if len(listed) > 1 else frozenset()


def _within(fact: Phrase, phrases: Sequence[Phrase]) -> bool:
    """Whether a fact is part of a phrase: "possibly liver cells" states no liver."""
    return any(p.first <= fact.first and fact.last <= p.last for p in phrases)


def _implied(reading: Reading, phrases: Sequence[Phrase]) -> list[Fact]:
    """Sites that diagnoses or structures tell: each once."""
    seen: dict[str, Fact] = {}
    for phrase in phrases:
        home = phrase.entry.home
        if home not in seen:
            seen[home] = Fact("site", home, *reading.span(phrase))
    return list(seen.values())


_start = operator.attrgetter("start")


def _has_point(reading: Reading, phrase: Phrase) -> bool:
    """Whether a number goes on across a point: "2.5x" is a "2" and a "5x"."""
    gaps, last = reading.gaps, phrase.last
    return (phrase.first > 0 and gaps[phrase.first - 1] == ".") or (
        gaps[last - 1] == "." and last < len(reading.words)
    )


def _is_number(fact: Fact) -> bool:
    return fact.kind == "magnification" and fact.value[0].isdigit()


def _numbers(reading: Reading) -> Iterator[Fact]:
    """Yield the magnifications that are given in numbers."""
    for match in _TIMES.finditer(reading.text):
        number = float(match[1] or match[2])
        yield Fact("magnification", f"{number:g}x", *reading.plain.span(*match.span()))
