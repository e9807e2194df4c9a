"""Abbreviations that a caption defines itself: "ductal carcinoma in situ (DCIS)".

Such a caption goes through scispaCy's detector (Schwartz and Hearst's algorithm); all others never
touch spaCy. Standard abbreviations are part of the vocabulary (`data/abbreviations.tsv`).
"""

from __future__ import annotations

import functools
import re
import warnings
from collections.abc import Mapping
from typing import Any

# "(DCIS)", "(TILs)", or "DCIS (ductal ...)": what may be a definition. Cheap, and no more than a
# filter: the detector decides.
_MAY_DEFINE = re.compile(
    r"\(\s*[A-Za-z][\w\-]{1,8}s?\s*\)|\b[A-Z][A-Za-z\-]{1,8}\s*\((?:\w+[ -]){2,}"
)


@functools.cache
def _detector() -> tuple[Any, Any]:
    import spacy
    from scispacy.abbreviation import AbbreviationDetector

    # The detector's matcher is empty until a definition is found; spaCy warns at every text.
    warnings.filterwarnings("ignore", message=r"\[W036\]")
    nlp = spacy.blank("en")
    return nlp, AbbreviationDetector(nlp)


def defined(text: str) -> Mapping[str, str]:
    """Return the abbreviations that a text defines itself: short form to long form."""
    if "(" not in text or not _MAY_DEFINE.search(text):
        return {}
    nlp, detector = _detector()
    # The detector compares each bracket with the words around it: a long text is cut to keep this
    # linear.
    doc = detector(nlp(text[:20_000]))
    pairs = {short.text: short._.long_form.text for short in doc._.abbreviations}
    return dict(sorted(pairs.items()))
