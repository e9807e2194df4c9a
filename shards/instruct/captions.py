"""What of a caption can stand as the answer to "describe this image"."""

from __future__ import annotations

import dataclasses
import re

_SENTENCE = re.compile(r"\S.*?(?:[.!?]+(?=\s)|\Z)", re.DOTALL)
# How a speaker begins; what follows describes the picture.
_OPENING = re.compile(
    r"(?:(?:okay|ok|all right|alright|u[hm]+|yeah|so|now|and)\b,?\s+)+", re.IGNORECASE
)
# What a speaker says to an audience.
_TALK = re.compile(
    r"\?|\b(okay|ok|all right|alright),|\b(u[hm]+|yeah|remember|i (guess|mean)|let me|let's|"
    r"you (guys|know)|you see (that|this|it)|(you|they)('ve| have) (all )?got|look at|"
    r"i (think|can't even|wouldn't bet)|i('m| am) not sure|stuff|(kind|sort|tons) of|"
    r"(next|last|another|other) case)\b",
    re.IGNORECASE,
)
# What a speaker thinks of what was just said.
_ASIDE = re.compile(r", which is (nice|good|great|cool|fine|interesting)(?=[.!]*$)", re.IGNORECASE)
# What speaks of another picture than this one.
_ELSEWHERE = re.compile(
    r"\b(previous|last|next|earlier|prior|preceding|following|other|another) "
    r"(slide|image|picture|figure|photo|photograph|field|video)s?\b|"
    r"\b(slide|image|picture|figure|field|case|video)s? (before|earlier|that we (had|saw))\b",
    re.IGNORECASE,
)
# Of what is left out, what follows may speak on.
_REFERS = re.compile(
    r"(they|it|its|these|those|this|that|there|then|but|which|in between|(you )?also)\b",
    re.IGNORECASE,
)


@dataclasses.dataclass(frozen=True)
class Description:
    """The sentences of a caption that describe its picture.

    Attributes:
        text: these, as they stand but for a speaker's openings and asides.
        spans: (start, end, shift) of each: where it is in the caption, and how much further on in
            the text.
    """

    text: str
    spans: tuple[tuple[int, int, int], ...]

    def at(self, start: int, end: int) -> tuple[int, int] | None:
        """A span of the caption as one of the text, None where it is left out."""
        for first, last, shift in self.spans:
            if first <= start and end <= last:
                return start + shift, end + shift
        return None


def description(caption: str) -> Description:
    """Leave out of a caption what talks to an audience or of other pictures than its own.

    A sentence behind one that is left out goes, too, where it may speak on of the same; of others
    what a speaker thinks of it, such as "which is nice".
    """
    text, spans, lost, before = "", [], False, 0
    for sentence in _SENTENCE.finditer(caption):
        start, end = sentence.span()
        opening = _OPENING.match(caption, start, end)
        start = opening.end() if opening else start
        said = caption[start:end].rstrip()
        refers = lost and _REFERS.match(said)
        lost = bool(refers or _TALK.search(said) or _ELSEWHERE.search(said))
        if lost or not said:
            continue
        gap = caption[before : sentence.start()] if text else ""
        text += gap if gap.isspace() else " " * bool(text)
        aside = _ASIDE.search(said)
        first, last = aside.span() if aside else (len(said), len(said))
        spans.append((start, start + first, len(text) - start))
        told = said[:first] + said[last:]
        text += told[:1].upper() + told[1:] if opening else told
        before = start + len(said)
    return Description(text, tuple(spans))
