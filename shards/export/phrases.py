"""Phrases of a grounded sample, and the text rules that several consumers share."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

from shards.sample import GroundedSample, Region

# A consumer that finds one of these in a caption takes it for a command.
SPECIAL = re.compile(
    r"<image>|<video>|<im_patch>|<im_start>|<im_end>|<p>|</p>|\[SEG\d*\]|<SEG>|<seg>|<cls>|<vp>|</vp>"
    r"|<bbox>|<think>|</think>|<s>|</s>|<unk>|<\|[^|>]*\|>|<IMG_CONTEXT>|<img>|</img>"
    r"|<phrase>|</phrase>|<object>|</object>|<grounding>|<patch_index_\d+>|</delimiter_of_multi_objects/>"
)


@dataclasses.dataclass(frozen=True)
class Phrase:
    """An affirmed mention with a mask.

    Attributes:
        start: first character in the text it belongs to.
        end: one past the last.
        text: the characters themselves.
        concept: canonical name.
        region: the region of the sample: `rle`, `instances`, `bbox`, ...
        turn: index of the turn of a dialogue, None for a caption.
        origin: text in the source, where a dialect's text has less or other characters.
    """

    start: int
    end: int
    text: str
    concept: str
    region: Region
    turn: int | None = None
    origin: str = ""


def phrases(sample: GroundedSample) -> list[Phrase]:
    """Affirmed mentions that point to regions, by start, longer first."""
    found = [
        Phrase(
            start=m["start"],
            end=m["end"],
            text=m["text"],
            concept=m["concept"],
            region=sample["regions"][r],
            turn=m.get("turn"),
            origin=m["text"],
        )
        for m in sample["mentions"]
        if m["polarity"] == "affirmed"
        for r in m["regions"]
    ]
    return sorted(found, key=lambda p: (p.turn or 0, p.start, -p.end))


def stripped(caption: str) -> tuple[str, int]:
    """Caption that stripping quotes and white space leaves unchanged, and how many were cut off."""
    text = caption
    while (shorter := text.strip('"').strip()) != text:
        text = shorter
    return text, caption.index(text) if text else len(caption)


def moved(items: Sequence[Phrase], text: str, shift: int) -> tuple[list[Phrase], list[Phrase]]:
    """Phrases in a text that lost `shift` characters in front, and those that fell out of it."""
    kept, lost = [], []
    for p in items:
        start, end = max(p.start - shift, 0), min(p.end - shift, len(text))
        part = text[start:end]
        if start >= end or not part.strip().strip('"'):
            lost.append(p)
        else:
            kept.append(dataclasses.replace(p, start=start, end=end, text=part))
    return kept, lost


def disjoint(items: Sequence[Phrase], gap: int = 0) -> tuple[list[Phrase], list[Phrase]]:
    """Phrases of which none overlap, the longest first choice, and those that gave way.

    Args:
        items: phrases of one text.
        gap: characters that must lie between two spans; 0 lets them touch.
    """
    kept: list[Phrase] = []
    lost: list[Phrase] = []
    for p in sorted(items, key=lambda p: (p.start - p.end, p.start)):
        clear = all(p.start >= q.end + gap or p.end + gap <= q.start for q in kept)
        (kept if clear else lost).append(p)
    return sorted(kept, key=lambda p: p.start), lost


def distinct(items: Sequence[Phrase]) -> tuple[list[Phrase], list[Phrase]]:
    """First phrase of each text, and the repetitions: a dict key can be there only once."""
    kept: dict[str, Phrase] = {}
    lost = []
    for p in items:
        if p.text in kept:
            lost.append(p)
        else:
            kept[p.text] = p
    return list(kept.values()), lost


_PIECES = re.compile(r"[A-Za-z]+|\s+|.", re.DOTALL)


def token_cut(text: str, budget: int) -> int:
    """Length of the longest prefix that surely has at most `budget` tokens.

    The consumers' tokenizers are not at hand, so this counts what a SentencePiece BPE needs at
    worst for medical English: a token for two letters, one for every other byte.
    """
    used = 0
    for piece in _PIECES.finditer(text):
        word = piece.group()
        if word.isspace():
            cost = word.count("\n") + (len(word) > 1)
        else:
            cost = -(-len(word) // 2) if word.isascii() else len(word.encode())
        used += cost
        if used > budget:
            return piece.start()
    return len(text)
