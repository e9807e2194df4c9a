"""Which captions can stand as the answer to "describe this image"."""

from __future__ import annotations

import re

# What a speaker says to an audience.
_TALK = re.compile(
    r"\?|\b(okay|ok|all right|alright),|\b(u[hm]+|yeah|remember|i (guess|mean)|let me|let's|"
    r"you (guys|know|get)|you see (that|this|it)|(you|they)('ve| have) (all )?got|look at|"
    r"i (think|can't even|wouldn't bet)|i('m| am) not sure|stuff|(kind|sort|tons) of)\b",
    re.IGNORECASE,
)
# What speaks of another picture than this one.
_ELSEWHERE = re.compile(
    r"\b(previous|last|next|earlier|prior|preceding|following|other|another) "
    r"(slide|image|picture|figure|photo|photograph|field|case|video)s?\b|"
    r"\b(slide|image|picture|figure|field|case|video)s? (before|earlier|that we (had|saw))\b",
    re.IGNORECASE,
)


def describes(caption: str) -> bool:
    """Whether a caption describes its picture, and neither talks to an audience nor of others."""
    return not (_TALK.search(caption) or _ELSEWHERE.search(caption))
