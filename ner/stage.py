"""The caption stage: adds mentions and facts to the samples of a unit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import pyarrow as pa

from miner.core.unit import FACT, MENTION, Stage, Unit
from ner.config import NerConfig
from ner.extractor import Extractor, FoundInText, default
from ner.mentions import Fact, Mention
from ner.panels import letters_at, parts
from ner.turns import ASKING, QUESTION, Said, plain_lead, settle

# Mentions and facts of a row, and its notes.
_Named = tuple[list[Mention], list[Fact], list[str]]
PANEL = "panel"  # reason of a mention in a compound figure, of whose panel nothing is known
_ORDER = ("finding", "scale", "specimen", "vague", PANEL, "uncertain", "negated", QUESTION)


class ExtractMentions(Stage):
    """Finds what each caption names.

    Adds `mentions` (list of MENTION), `facts` (list of FACT), and to `notes` what went wrong for a
    row without stopping it, such as `llm:timeout`. A text that was composed of structures names
    those: nothing is extracted from it but its facts.

    Args:
        config: which extractors take part.

    Raises:
        Refused: if a configured model is not installed or an address is wrong.
    """

    requires: ClassVar[Mapping[str, Sequence[str]]] = {
        "samples": ("image_id", "caption", "turns", "told", "notes", "status", "reason"),
        "images": ("image_id", "panels"),
    }
    adds: ClassVar[Mapping[str, Sequence[str]]] = {
        "samples": ("mentions", "facts", "notes", "status", "reason")
    }

    def __init__(self, config: NerConfig) -> None:
        self._extractor = Extractor(config)

    def __call__(self, unit: Unit) -> Unit:
        """Return the unit with its mentions; rows with nothing to ground get a status."""
        samples = unit.samples
        names = ("image_id", "caption", "turns", "told", "notes", "status", "reason")
        said = samples.select(names).to_pylist()
        texts: list[str] = []
        slices = []
        for row in said:
            begin = len(texts)
            texts += _texts(row)
            slices.append(slice(begin, len(texts)))
        found = self._extractor(texts)
        panels = _letters(unit.images)
        rows = [
            _bound(row, _row(row, found[part]), panels.get(row["image_id"], frozenset()))
            for row, part in zip(said, slices, strict=True)
        ]
        status, reasons = [], []
        for (mentions, _, _), row in zip(rows, said, strict=True):
            state, why = row["status"], row["reason"]
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


def _texts(row: Mapping[str, Any]) -> list[str]:
    """Texts of a row that something is extracted from, one of them at least."""
    # Of an unreadable row nothing can be outlined, whatever it names.
    if row["status"] == "unreadable" or row["told"] is not None:
        return [""]
    turns = row["turns"]
    if not turns:
        return [row["caption"] or ""]
    texts = [turn["text"] or "" for turn in turns]
    return [
        text if turn["role"] in ASKING else plain_lead(text)
        for turn, text in zip(turns, texts, strict=True)
    ]


def _row(row: Mapping[str, Any], found: Sequence[FoundInText]) -> _Named:
    """What a row names and states, and its notes, from what was found in its texts."""
    notes = sorted({*(row["notes"] or ()), *(note for one in found for note in one.notes)})
    if row["told"] is not None and row["status"] != "unreadable":
        mentions = [Mention(**one) for one in row["told"]]
        return mentions, list(default()(row["caption"]).facts), notes
    turns = row["turns"]
    if turns and len(turns) == len(found):
        mentions = settle(turns, [Said(one.mentions, one.facts) for one in found])
    else:
        mentions = list(found[0].mentions)
    return mentions, [fact for one in found for fact in one.facts], notes


def _letters(images: pa.Table) -> dict[str, frozenset[str]]:
    """Letters of the panels by picture, of compound figures alone."""
    rows = images.select(["image_id", "panels"]).to_pylist()
    return {
        row["image_id"]: frozenset(panel["letter"] for panel in row["panels"])
        for row in rows
        if row["panels"]
    }


def _bound(row: Mapping[str, Any], found: _Named, panels: frozenset[str]) -> _Named:
    """What a row says, without hope for phrases whose panel cannot be told.

    Where the caption has other letters than the figure has panels, none of them says where to look.
    """
    mentions, facts, notes = found
    cut = parts(row["caption"] or "") if panels and not row["turns"] else []
    lettered = frozenset().union(*(part.letters for part in cut)) if cut else panels
    if lettered == panels:
        return found
    mentions = [
        m._replace(groundable=False, reason=PANEL)
        if m.groundable and letters_at(cut, m.start)
        else m
        for m in mentions
    ]
    return mentions, facts, notes


def no_entity(mentions: Sequence[Mention]) -> str | None:
    """Return why nothing in a caption can be grounded, or None when something can.

    Returns:
        `no_mention`, `only_negated`, `only_uncertain`, `question` (nothing but questions names
        anything), or the first obstacle of `finding`, `scale`, `specimen`, `vague`.
    """
    if any(mention.groundable for mention in mentions):
        return None
    if not mentions:
        return "no_mention"
    why = {mention.reason or "vague" for mention in mentions}
    first = next(reason for reason in _ORDER if reason in why)
    return f"only_{first}" if first in ("negated", "uncertain") else first
