"""Groups of concepts that are judged by the same yardstick, and which concepts are kin."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping, Set

from ner.concepts import Concept, concepts

CELL_UM = 40.0  # the largest single cells of the table; a megakaryocyte reaches 60 at times

# Names of one tissue, none of which is denied where another stands: a fibrous septum is stroma.
STROMA = frozenset(
    {"stroma", "connective tissue", "fibrous tissue", "fibrosis", "sclerosis", "collagen"}
)


def family(concept: Concept | None, kind: str) -> str:
    """One of cell, structure, clear, tissue; a concept the table does not know goes by its kind.

    Args:
        concept: its row in the table, or None.
        kind: "object" or "stuff".
    """
    if concept is None:
        return "structure" if kind == "object" else "tissue"
    if concept.kind == "object":
        small = concept.size_um is not None and concept.size_um[1] <= CELL_UM
        return "cell" if small else "structure"
    return "clear" if concept.stain == "clear" else "tissue"


def related(first: str, second: str, table: Mapping[str, Concept]) -> bool:
    """Whether one concept is the other's kind, part or whole: no alternative to it."""
    above, below = _above(first, table), _above(second, table)
    return second in above or first in below or bool(above & STROMA and below & STROMA)


def likely(name: str, there: Iterable[str], sites: Set[str]) -> bool:
    """Whether something may well be in a picture where it was not found.

    Args:
        name: the concept.
        there: concepts of which it may be a kind, part or whole.
        sites: organs, in one of which it may be at home.
    """
    table = concepts()
    return bool(homes(name) & sites) or any(related(name, other, table) for other in there)


@functools.cache
def homes(name: str) -> frozenset[str]:
    """Organs that a concept or one of its kinds belongs to: a tubule may be the kidney's."""
    table = concepts()
    kinds = [row for row in table.values() if name in lineage(row.name, table)]
    return frozenset(site for row in kinds for site in row.sites)


def lineage(name: str, table: Mapping[str, Concept]) -> Iterator[str]:
    """A concept, its parent, and so on."""
    at: str | None = name
    while at is not None and at in table:
        yield at
        at = table[at].parent


def _above(name: str, table: Mapping[str, Concept]) -> set[str]:
    """What is reached from a concept by parents and wholes, itself included."""
    seen: set[str] = set()
    stack = [name]
    while stack:
        concept = table.get(stack.pop())
        if concept is None or concept.name in seen:
            continue
        seen.add(concept.name)
        stack += [*concept.part_of, *([concept.parent] if concept.parent else [])]
    return seen
