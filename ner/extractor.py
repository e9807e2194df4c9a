"""All extractors as configured, behind one call."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from ner.config import NerConfig
from ner.ground import judge, picture
from ner.lexicon import Lexicon
from ner.llm.extractor import LlmAnswer, LlmExtractor
from ner.mentions import Fact, Mention
from ner.merge import merge
from ner.models import ModelExtractor, install_line
from ner.vocabulary import vocabulary


class FoundInText(NamedTuple):
    """Mentions and facts of one text, and what went wrong on the way (`llm:timeout`, ...)."""

    mentions: tuple[Mention, ...]
    facts: tuple[Fact, ...]
    notes: tuple[str, ...] = ()


class Extractor:
    """Lexicon, spaCy model and LLM, merged by vote.

    Args:
        config: which of them take part, and how they vote.

    Attributes:
        counts: texts, mentions, groundable mentions, and what each source did.

    Raises:
        Refused: if a configured model is not installed or an address is wrong.
    """

    def __init__(self, config: NerConfig) -> None:
        self._config = config
        self._lexicon = Lexicon(abbreviations=config.abbreviations)
        self._model = ModelExtractor(config.model, config.linker) if config.model else None
        self._llm = LlmExtractor(config.llm) if config.llm else None
        self.counts: Counter[str] = Counter()

    def __call__(self, texts: Sequence[str]) -> list[FoundInText]:
        """Return what each text names, in order."""
        answers: Sequence[LlmAnswer | None] = (
            self._llm(texts) if self._llm is not None else [None] * len(texts)
        )
        return [self._one(text, answer) for text, answer in zip(texts, answers, strict=True)]

    def _one(self, text: str, answer: LlmAnswer | None) -> FoundInText:
        mentions, facts = self._lexicon(text)
        found = {"lexicon": mentions}
        notes: list[str] = []
        if self._model is not None and self.needs_model(text, mentions):
            self.counts["model_texts"] += 1
            spans = [(start, end, name) for start, end, name, _ in self._model(text)]
            found["scispacy"] = self._lexicon.place(text, spans, "scispacy")
        if answer is not None:
            if answer.problem is None:
                placed = self._lexicon.place(
                    text, [(span.start, span.end, span.concept) for span in answer.spans], "llm"
                )
                said = {(span.start, span.end): span.polarity for span in answer.spans}
                found["llm"] = tuple(
                    one._replace(polarity=said.get((one.start, one.end), one.polarity))
                    for one in placed
                )
                self.counts["llm_unknown_concept"] += len(answer.spans) - len(placed)
            else:
                notes.append(f"llm:{answer.problem}")
        if len(found) > 1 or self._config.merge != "union":
            mentions = self._judged(merge(found, self._config.merge), facts)
        self.counts["texts"] += 1
        self.counts["mentions"] += len(mentions)
        self.counts["groundable"] += sum(mention.groundable for mention in mentions)
        return FoundInText(mentions, facts, tuple(notes))

    def _judged(
        self, mentions: tuple[Mention, ...], facts: tuple[Fact, ...]
    ) -> tuple[Mention, ...]:
        """Mentions with groundability by the polarity that was voted."""
        judged = []
        seen = picture(facts)
        for mention in mentions:
            judged.append(judge(mention, vocabulary().concepts[mention.concept], seen, facts))
        return tuple(judged)

    @staticmethod
    def needs_model(text: str, mentions: tuple[Mention, ...]) -> bool:
        """Whether a text is worth a parsing model: where the lexicon covers little of it.

        A model costs some ten milliseconds, the lexicon a tenth of one.
        """
        covered = sum(mention.end - mention.start for mention in mentions)
        return bool(text.strip()) and covered < 0.1 * len(text)

    def summary(self) -> dict[str, object]:
        """Return counters and what did not take part, for the run's summary."""
        missing = {}
        if self._llm is None:
            missing["llm"] = "not configured (ner.llm): no LLM was called"
        if self._model is None:
            missing["scispacy"] = (
                f"no model configured (ner.model); e.g. {install_line('en_core_sci_sm')}"
            )
        counts = dict(sorted(self.counts.items()))
        if self._llm is not None:
            counts |= {f"llm_{name}": n for name, n in self._llm.summary().items()}
            missing |= {f"llm {name}": words for name, words in self._llm.said.items()}
        return {"counts": counts, "missing": missing}


@functools.cache
def default() -> Lexicon:
    """The extractor that needs no configuration and no model; built on first use."""
    return Lexicon()
