"""The caption stage: adds mentions and facts to the samples of a unit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import pyarrow as pa

from miner.unit import FACT, MENTION, Unit
from ner.config import NerConfig
from ner.lexicon import Lexicon
from ner.mentions import Extraction, Fact, Mention

_ORDER = ("finding", "scale", "specimen", "vague", "uncertain", "negated")


class ExtractMentions:
    """Finds what each caption names.

    Args:
        config: which extractors take part.
    """

    requires: ClassVar[Mapping[str, Sequence[str]]] = {
        "samples": ("caption", "turns", "status", "reason")
    }
    adds: ClassVar[Mapping[str, Sequence[str]]] = {
        "samples": ("mentions", "facts", "status", "reason")
    }

    def __init__(self, config: NerConfig) -> None:
        self._lexicon = Lexicon()

    def __call__(self, unit: Unit) -> Unit:
        """Return the unit with `mentions` and `facts`; rows with nothing to ground get a status."""
        samples = unit.samples
        mentions, facts, status, reasons = [], [], [], []
        columns = [samples[name].to_pylist() for name in ("caption", "turns", "status", "reason")]
        for caption, turns, state, why in zip(*columns, strict=True):
            found = self._row(caption, turns)
            mentions.append([mention._asdict() for mention in found.mentions])
            facts.append([fact._asdict() for fact in found.facts])
            if state is None:
                why = no_entity(found.mentions)
                state = "no_entity" if why else None
            status.append(state)
            reasons.append(why)
        return unit.with_columns(
            "samples",
            {
                "mentions": pa.array(mentions, pa.list_(MENTION)),
                "facts": pa.array(facts, pa.list_(FACT)),
                "status": status,
                "reason": reasons,
            },
        )

    def _row(self, caption: str | None, turns: list[dict[str, Any]] | None) -> Extraction:
        if not turns:
            return self._lexicon(caption or "")
        mentions: list[Mention] = []
        facts: list[Fact] = []
        for index, turn in enumerate(turns):
            found = self._lexicon(turn["text"] or "")
            mentions += [mention._replace(turn=index) for mention in found.mentions]
            facts += found.facts
        return Extraction(tuple(mentions), tuple(facts))


def no_entity(mentions: Sequence[Mention]) -> str | None:
    """Return why nothing in a caption can be grounded, or None when something can.

    Returns:
        `no_mention`, `only_negated`, `only_uncertain`, or the commonest obstacle left (`finding`,
        `scale`, `vague`).
    """
    if any(mention.groundable for mention in mentions):
        return None
    if not mentions:
        return "no_mention"
    why = {mention.reason or "vague" for mention in mentions}
    first = next(reason for reason in _ORDER if reason in why)
    return f"only_{first}" if first in ("negated", "uncertain") else first
