"""Spelling, plurals and word formation: how one surface word is reduced to its dictionary form."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container

# British to American. Latin plurals in -ae must survive, so digraphs are reduced by stem only.
_STEMS = (
    ("haem", "hem"),
    ("aemi", "emi"),
    ("oedem", "edem"),
    ("oesoph", "esoph"),
    ("oestr", "estr"),
    ("rrhoe", "rrhe"),
    ("foet", "fet"),
    ("coel", "cel"),
    ("amoeb", "ameb"),
    ("caec", "cec"),
    ("faec", "fec"),
    ("paed", "ped"),
    ("aetio", "etio"),
    ("anaes", "anes"),
    ("gynaec", "gynec"),
    ("tumour", "tumor"),
    ("colour", "color"),
    ("odour", "odor"),
    ("fibre", "fiber"),
    ("centre", "center"),
    ("calibre", "caliber"),
    ("grey", "gray"),
    ("mould", "mold"),
    ("sulph", "sulf"),
    ("leuco", "leuko"),
    ("labelled", "labeled"),
)
_STEM = re.compile("|".join(re.escape(british) for british, _ in _STEMS))
_AMERICAN = dict(_STEMS)
_ISE = re.compile(r"(?:(?<=[nltm])|(?<=[aeou]r))is(?=(?:ed|ing|ation|ations)$)")
_MARKS = re.compile(r"[\u0300-\u036f\u00ad\u200c\u200d]")


def fold(word: str) -> str:
    """Return a word lower-cased, without marks and ligatures, in American spelling.

    Args:
        word: one word as it stands in a text.
    """
    if not word.isascii():
        word = _MARKS.sub("", unicodedata.normalize("NFKD", word))
    word = word.lower()
    if len(word) < 4:
        return word
    return _ISE.sub("iz", _STEM.sub(lambda found: _AMERICAN[found.group()], word))


# Plural ending -> singular endings to try, longest endings first. Latin and Greek beside English.
_PLURALS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("mata", ("ma",)),
    ("ices", ("ex", "ix", "ice")),
    ("mina", ("men",)),
    ("ies", ("y", "ie")),
    ("ves", ("f", "fe", "ve")),
    ("ses", ("sis", "s", "se")),
    ("nges", ("nx", "nge")),
    ("xes", ("x",)),
    ("zes", ("z", "ze")),
    ("ches", ("ch", "che")),
    ("shes", ("sh",)),
    ("oes", ("o", "oe")),
    ("ae", ("a",)),
    ("i", ("us", "o")),
    ("a", ("um", "on")),
    ("es", ("is", "e")),
    ("s", ("",)),
)


# End like plurals of other words, and are none.
_SINGULARS = frozenset({"comma", "cornea", "data", "granulosa", "media", "nodosa", "species"})
_IRREGULAR = {"septae": "septum", "septas": "septum"}


def singular(word: str, known: Container[str]) -> str | None:
    """Return the known singular of a folded word, or None when there is none.

    Args:
        word: a folded word.
        known: dictionary of singulars; a guess outside it is not returned.
    """
    if len(word) < 4 or word in _SINGULARS:
        return None
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    for ending, singles in _PLURALS:
        if word.endswith(ending):
            stem = word[: -len(ending)]
            for single in singles:
                if stem + single in known:
                    return stem + single
    return None


# Word formation of histology, for words that no table holds. Adjectives that name a lineage, a
# compartment or a tissue end so; looks (size, shape, colour) are a closed list in words.tsv.
_IDENTITY = re.compile(r"(?:al|ar|ic|oid|ary|ous|iform|like|nucleated)$")
_CELL = re.compile(r"(?:cyte|blast|phage|phil|clast)$")
_DIAGNOSIS = re.compile(r"(?:[^r]oma|itis|opathy|plasia|emia|oses|iasis|rrhea|omatosis)$")
_ATTRIBUTE = re.compile(r"(?:ity|ness|ism|tion|sion|ance|ence|ancy|ency|ment|ology|graphy)$")
_PARTICIPLE = re.compile(r"(?:[^e]ed)$")


def guess(word: str) -> str | None:
    """Return the class of an unknown folded word by its ending, or None.

    Returns:
        "identity" (adjective of lineage or compartment), "look" (participle), "cell" (a cell type),
        "diagnosis", "attribute" (abstract noun), or None.
    """
    if len(word) < 6 or not word.isalpha():
        return None
    one = word[:-1] if word.endswith("s") and not word.endswith(("ss", "us", "is")) else word
    if _CELL.search(one):
        return "cell"
    if _DIAGNOSIS.search(one):
        return "diagnosis"
    if _ATTRIBUTE.search(one):
        return "attribute"
    if one is word and _IDENTITY.search(word):
        return "identity"
    if _PARTICIPLE.search(word):
        return "look"
    return None
