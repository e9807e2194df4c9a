"""The lexicon extractor: table, phrases, polarity, facts and groundability in one pass."""

from __future__ import annotations

from ner.ground import reason
from ner.mentions import Extraction, Fact, Mention
from ner.phrases import read
from ner.polarity import polarities
from ner.vocabulary import Vocabulary, vocabulary


class Lexicon:
    """Finds mentions and facts in captions without any model.

    Args:
        words: compiled tables; those of the package by default.
    """

    def __init__(self, words: Vocabulary | None = None) -> None:
        self._words = words or vocabulary()

    def __call__(self, text: str) -> Extraction:
        """Return the mentions and facts of a text, in order, mentions without overlaps.

        Args:
            text: any text; offsets in the answer are characters into it as given.
        """
        reading = read(text, self._words)
        starts, ends, table = reading.starts, reading.ends, self._words.concepts
        facts = tuple(
            Fact(
                phrase.entry.fact,
                phrase.entry.head if phrase.entry.kind == 3 else phrase.entry.name,
                starts[phrase.first],
                ends[phrase.last - 1],
            )
            for phrase in reading.facts
        )
        mentions = []
        for phrase, polarity in zip(reading.phrases, polarities(reading), strict=True):
            concept = phrase.concept
            why = reason(concept, polarity, facts, table)
            start, end = starts[phrase.first], ends[phrase.last - 1]
            mentions.append(
                Mention(
                    start,
                    end,
                    text[start:end],
                    concept,
                    table[concept].kind,
                    polarity,
                    groundable=why is None,
                    reason=why,
                )
            )
        return Extraction(tuple(mentions), facts)
