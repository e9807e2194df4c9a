"""The lexicon extractor: table, phrases, polarity, facts and groundability in one pass."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Sequence

from ner.abbreviations import defined
from ner.facts import facts_of
from ner.ground import judge, picture, reason
from ner.mentions import Extraction, Fact, Mention
from ner.phrases import Phrase, Reading, read
from ner.plain import plain
from ner.polarity import polarities
from ner.vocabulary import CONCEPT, Entry, Vocabulary, vocabulary


class Lexicon:
    """Finds mentions and facts in captions without any model.

    Args:
        words: compiled tables; those of the package by default.
        abbreviations: whether to look for abbreviations that the text defines itself.
    """

    def __init__(self, words: Vocabulary | None = None, abbreviations: bool = True) -> None:
        self._words = words or vocabulary()
        self._abbreviations = abbreviations

    def __call__(self, text: str) -> Extraction:
        """Return the mentions and facts of a text, in order, mentions without overlaps.

        Args:
            text: any text; offsets in the answer are characters into it as given.
        """
        reading = self._read(text)
        said, stated = polarities(reading)
        facts = facts_of(reading, said, stated)
        return Extraction(self._mentions(text, reading, said, facts), facts)

    def place(
        self, text: str, spans: Iterable[tuple[int, int, str]], source: str
    ) -> tuple[Mention, ...]:
        """Return mentions for spans that another extractor found, read by the lexicon's rules.

        Args:
            text: the text the spans are of.
            spans: (start, end, concept to fall back on); those whose words name no known structure
                and that fall back on no concept of the table are left out.
            source: name of the extractor.
        """
        reading = self._read(text)
        facts = facts_of(reading, *polarities(reading))
        phrases = []
        starts, ends = reading.word_spans()
        for start, end, fallback in spans:
            first = bisect.bisect_left(starts, start)
            last = bisect.bisect_right(ends, end)
            concept = self.concept(text[start:end]) or self._known(fallback)
            if concept is not None and first < last:
                phrases.append(Phrase(first, last, Entry(CONCEPT, concept), concept))
        reading.phrases = phrases = sorted(phrases)
        said, _ = polarities(reading)
        return tuple(
            mention._replace(sources=(source,))
            for mention in self._mentions(text, reading, said, facts)
        )

    def concept(self, phrase: str) -> str | None:
        """Return the canonical name of what a phrase names, by its last noun, or None."""
        reading = read(phrase, self._words)
        if not reading.phrases or reading.phrases[-1].last != len(reading.words):
            return None
        return reading.phrases[-1].concept

    def _known(self, name: str) -> str | None:
        if name in self._words.concepts:
            return name
        return self.concept(name) if name else None

    def _read(self, text: str) -> Reading:
        found = plain(text)
        given = self._given(found.text) if self._abbreviations and "(" in found.text else None
        return read(found, self._words, given)

    def _given(self, text: str) -> dict[str, Entry] | None:
        """What the abbreviations defined in a text mean."""
        given = {}
        for short, long in defined(text).items():
            reading = read(long, self._words)
            count = len(reading.words)
            if reading.phrases and reading.phrases[-1].last == count:
                given[short] = Entry(CONCEPT, reading.phrases[-1].concept)
            elif reading.facts and reading.facts[-1].last == count:
                given[short] = reading.facts[-1].entry
        return given

    def _mentions(
        self, text: str, reading: Reading, said: Sequence[str], facts: Sequence[Fact]
    ) -> tuple[Mention, ...]:
        seen = picture(facts)
        several = len(seen.sites) > 1
        starts, ends, origin = reading.starts, reading.ends, reading.plain
        mentions = []
        for i, phrase in enumerate(reading.phrases):
            polarity = said[i]
            concept = self._words.concepts[phrase.concept]
            start, end = starts[phrase.first], ends[phrase.last - 1]
            if origin.starts is not None:
                start, end = origin.span(start, end)
            why = polarity if polarity != "affirmed" else reason(concept, polarity, seen)
            mention = Mention(
                start,
                end,
                text[start:end],
                phrase.concept,
                concept.kind,
                polarity,
                ("lexicon",),
                (),
                why is None,
                why,
            )
            if several and why is None and concept.not_sites:
                mention = judge(mention, concept, seen, facts)
            mentions.append(mention)
        return tuple(mentions)
