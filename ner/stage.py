"""The caption stage: adds mentions and facts to the samples of a unit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import pyarrow as pa

from miner.core.unit import FACT, MENTION, Stage, Unit
from ner.config import NerConfig
from ner.extractor import Extractor, Found
from ner.mentions import Fact, Mention

_ORDER = ("finding", "scale", "specimen", "vague", "uncertain", "negated")


class ExtractMentions(Stage):
    """Finds what each caption names.

    Adds `mentions` (list of MENTION), `facts` (list of FACT) and `notes` (list of strings, such as
    `llm:timeout`: what went wrong for this row without stopping it).

    Args:
        config: which extractors take part.

    Raises:
        Refused: if a configured model is not installed or an address is wrong.
    """

    requires: ClassVar[Mapping[str, Sequence[str]]] = {
        "samples": ("caption", "turns", "status", "reason")
    }
    adds: ClassVar[Mapping[str, Sequence[str]]] = {
        "samples": ("mentions", "facts", "notes", "status", "reason")
    }

    def __init__(self, config: NerConfig) -> None:
        self._extractor = Extractor(config)

    def __call__(self, unit: Unit) -> Unit:
        """Return the unit with its mentions; rows with nothing to ground get a status."""
        samples = unit.samples
        columns = [samples[name].to_pylist() for name in ("caption", "turns", "status", "reason")]
        texts: list[str] = []
        slices = []
        for caption, turns, state, _ in zip(*columns, strict=True):
            if state == "unreadable":  # nothing can be outlined, whatever it names
                caption, turns = "", None
            begin = len(texts)
            texts += [turn["text"] or "" for turn in turns] if turns else [caption or ""]
            slices.append((slice(begin, len(texts)), bool(turns)))
        found = self._extractor(texts)
        rows = [_row(found[part], turned) for part, turned in slices]
        status, reasons = [], []
        for (mentions, _, _), state, why in zip(rows, columns[2], columns[3], strict=True):
            if state is None:
                why = no_entity(mentions)
                state = "no_entity" if why else None
            status.append(state)
            reasons.append(why)
        return unit.with_columns(
            "samples",
            {
                "mentions": pa.array(
                    [[one._asdict() for one in mentions] for mentions, _, _ in rows],
                    pa.list_(MENTION),
                ),
                "facts": pa.array(
                    [[one._asdict() for one in facts] for _, facts, _ in rows], pa.list_(FACT)
                ),
                "notes": pa.array([list(notes) for _, _, notes in rows], pa.list_(pa.string())),
                "status": status,
                "reason": reasons,
            },
        )

    def summary(self) -> dict[str, Any]:
        """Return `counts` (texts, mentions, calls, ...) and `missing` (what took no part)."""
        return self._extractor.summary()


def _row(found: Sequence[Found], turned: bool) -> tuple[list[Mention], list[Fact], list[str]]:
    """Join what was found in the turns of one row."""
    mentions = [
        mention._replace(turn=index) if turned else mention
        for index, one in enumerate(found)
        for mention in one.mentions
    ]
    facts = [fact for one in found for fact in one.facts]
    return mentions, facts, sorted({note for one in found for note in one.notes})


def no_entity(mentions: Sequence[Mention]) -> str | None:
    """Return why nothing in a caption can be grounded, or None when something can.

    Returns:
        `no_mention`, `only_negated`, `only_uncertain`, or the first obstacle of `finding`, `scale`,
        `specimen`, `vague`.
    """
    if any(mention.groundable for mention in mentions):
        return None
    if not mentions:
        return "no_mention"
    why = {mention.reason or "vague" for mention in mentions}
    first = next(reason for reason in _ORDER if reason in why)
    return f"only_{first}" if first in ("negated", "uncertain") else first
