"""Words of a text with their character offsets.

A word is a run of letters, digits and combining marks; hyphens and apostrophes separate words, so
that "T-cell", "T cell" and "Hassall's" need no forms of their own. Words are looked up one by one
in folded form (`ner.words.fold`); the text itself is never changed, so that no ligature, combining
mark or case mapping can shift an offset.
"""

from __future__ import annotations

import re

# Combining marks, the soft hyphen and joiners belong to the word they stand in.
WORD = re.compile(r"[\w\u0300-\u036f\u00ad\u200c\u200d]+")

# What may stand between two words of one phrase.
HYPHENS = frozenset({"-", "\u2010", "\u2011", "\u2013"})
SOFT = HYPHENS | {" ", "  ", "\u00a0", "\n", "\r\n", "\t", " -", "- ", "", "/"}
COMMAS = frozenset({", ", ",", " , "})


def words(text: str) -> list[str]:
    """Return the words of a text in order."""
    return WORD.findall(text)
