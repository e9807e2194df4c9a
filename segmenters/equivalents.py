"""Concepts that are answered through each other: a tumor cell by the epithelial nucleus it has.

`data/equivalents.tsv` lists, per answer, the concepts whose mask it is. A name stays true of such a
mask: in a carcinoma the tumor cells are the epithelial nuclei, but not every one of these is a
goblet cell's. What is answered as something else is recorded (`asked_as`) and judged as that.
"""

from __future__ import annotations

import csv
import functools
import importlib.resources
import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from ner.concepts import concepts

# Concepts whose narrower ones look alike: a crypt is a gland. A T cell cannot be told from a
# B cell, nor an artery from a vein, so theirs are not among them.
INHERITED = frozenset({"gland", "lumen", "stroma", "epithelium", "fat", "mucin", "muscle"})
# Tumors by what their names say. A tumor of which nothing is said is taken for one of epithelium,
# as most are, unless it lies where hardly any arises.
_EPITHELIAL = re.compile(r"carcino|adenom|papillom|neuroendocrine|dysplasia|hyperplasia|polyp")
_OTHER = re.compile(r"oma\b|leuk|nevus|germ cell|stromal tumor|histiocyt")
_ELSEWHERE = frozenset(
    {"bone", "bone marrow", "brain", "lymph node", "nerve", "skeletal muscle", "soft tissue"}
)


def arises_in_epithelium(site: str | None, diagnoses: Sequence[str]) -> bool | None:
    """Whether the captions' tumor is one of epithelium; None when they name no tumor.

    Args:
        site: organ, None when the captions name none or several.
        diagnoses: as the captions state them, lower-case.
    """
    if any(_EPITHELIAL.search(name) for name in diagnoses):
        return True
    if site in _ELSEWHERE or any(_OTHER.search(name) for name in diagnoses):
        return False
    return None


@functools.cache
def _table() -> Mapping[str, tuple[str, str]]:
    """Answer and condition by concept."""
    source = importlib.resources.files("segmenters") / "data" / "equivalents.tsv"
    with source.open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t"))
    return {
        name: (row["answer"], row["where"] or "")
        for row in rows
        for name in row["concepts"].split(";")
    }


def equivalents(
    concept: str, site: str | None = None, diagnoses: Sequence[str] | None = None
) -> Iterator[str]:
    """Concepts whose mask a concept has, nearest first, without itself.

    Args:
        concept: canonical concept name.
        site: organ, None when the captions name none or several.
        diagnoses: as the captions state them; None: whatever they may say is taken to hold.
    """
    answer, where = _table().get(concept, ("", ""))
    if answer and _holds(where, site, diagnoses):
        yield answer
        yield from equivalents(answer, site, diagnoses)
    table = concepts()
    current = table.get(concept)
    while current is not None and current.parent is not None:
        if current.parent in INHERITED:
            yield current.parent
        current = table.get(current.parent)


def _holds(where: str, site: str | None, diagnoses: Sequence[str] | None) -> bool:
    if not where or diagnoses is None:
        return True
    epithelial = arises_in_epithelium(site, diagnoses)
    return epithelial is True or (where == "epithelial" and epithelial is None)


def answered_as(
    concept: str,
    supports: Callable[[str], bool],
    site: str | None = None,
    diagnoses: Sequence[str] | None = None,
) -> str | None:
    """The concept under which a segmenter answers: itself, else its first equivalent, or None.

    Args:
        concept: canonical concept name.
        supports: whether the segmenter knows a concept itself.
        site: see `equivalents`.
        diagnoses: see `equivalents`.
    """
    if supports(concept):
        return concept
    return next(filter(supports, equivalents(concept, site, diagnoses)), None)
