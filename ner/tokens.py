"""Words of a text with their character offsets.

A word is a run of letters, digits and combining marks; hyphens and apostrophes separate words, so
that "T-cell", "T cell" and "Hassall's" need no forms of their own. Words are looked up one by one
in folded form (`ner.words.fold`); the text itself is not changed by that, so that no ligature,
combining mark or case mapping can shift an offset.
"""

from __future__ import annotations

import re

# Combining marks, the soft hyphen and joiners belong to the word they stand in. Most texts are
# ASCII, which is cut several times as fast.
_WORD = re.compile(r"([\w\u0300-\u036f\u00ad\u200c\u200d]+)")
_ASCII_WORD = re.compile(r"([0-9A-Za-z_]+)")

# What may stand between two words in plain text (`ner.plain`: white space is a single blank there).
HYPHENS = frozenset({"-", "\u2010", "\u2011", "\u2013"})
# Between words of one phrase.
SOFT = frozenset({" ", "", "/"}).union(*({h, f" {h}", f"{h} "} for h in HYPHENS))
# Between words of one term: "Hassall's", "H & E", "CK5/6".
BINDING = SOFT | {"'", "\u2019", "' ", "\u2019 ", "&", " &", "& ", " & ", ":", "+"}
COMMAS = frozenset({", ", ",", " , "})


def split(text: str) -> list[str]:
    """Return what a text is made of: a gap, a word, a gap, ..., a gap."""
    return (_ASCII_WORD if text.isascii() else _WORD).split(text)


def words(text: str) -> list[str]:
    """Return the words of a text in order."""
    return split(text)[1::2]
