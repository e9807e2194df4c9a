"""Which phrases a region is compared with: siblings of its concept, and absent concepts."""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Iterable, Sequence

from ner.concepts import Concept, concepts

SCALE_FACTOR = 3.0  # size ranges within this factor of each other count as the same scale
# So general that they contradict nothing.
GENERIC = frozenset(
    {
        "cell", "tissue", "structure", "area", "component", "material", "body", "focus", "element",
        "aggregate", "cluster", "layer", "space", "cavity", "lesion", "parenchyma", "island",
        "sheet", "bundle", "organism", "mucosa", "wall", "cytoplasm", "chromatin",
    }
)  # fmt: skip


def wordings(concept: str, most: int = 3) -> tuple[str, ...]:
    """Phrases for a concept, best first; the name itself when the table does not know it."""
    known = concepts().get(concept)
    if known is None:
        return (concept,)
    forms = (*known.wordings, known.name, *known.forms)
    return tuple(dict.fromkeys(forms))[:most]


def ancestors(concept: str) -> tuple[str, ...]:
    """Names above a concept in the table, nearest first."""
    table, chain = concepts(), []
    known = table.get(concept)
    while known is not None and known.parent and known.parent not in chain:
        chain.append(known.parent)
        known = table.get(known.parent)
    return tuple(chain)


def related(one: str, other: str) -> bool:
    """Whether one concept is the other or lies above it: neither contradicts the other."""
    return one == other or one in ancestors(other) or other in ancestors(one)


def same_scale(one: Concept, other: Concept) -> bool:
    """Whether objects of both concepts can have about the same size."""
    if one.kind != other.kind:
        return False
    if one.size_um is None or other.size_um is None:
        return True
    (low, high), (other_low, other_high) = one.size_um, other.size_um
    return low <= other_high * SCALE_FACTOR and other_low <= high * SCALE_FACTOR


@functools.cache
def siblings(concept: str) -> tuple[str, ...]:
    """Concepts that compete with this one, those of the nearest size first.

    Children of the same parent at the same scale. A concept without a parent (or that the table
    does not know) competes with the other concepts without a parent, of its kind and scale; its
    own descendants and ancestors never compete with it, nor does what is too general to be wrong.
    """
    table = concepts()
    known = table.get(concept)
    parent = known.parent if known is not None else None
    found = [
        other
        for name, other in table.items()
        if other.parent == parent
        and name not in GENERIC
        and not related(name, concept)
        and (known is None or same_scale(known, other))
    ]
    if known is not None:
        found.sort(key=lambda other: _size_gap(known, other))  # stable: then the table's order
    return tuple(other.name for other in found)


def _size_gap(one: Concept, other: Concept) -> float:
    """Distance of the middles of two size ranges in octaves; 0 where one is unknown."""
    if one.size_um is None or other.size_um is None:
        return 0.0
    (low, high), (other_low, other_high) = one.size_um, other.size_um
    return abs(math.log2(low * high) - math.log2(other_low * other_high)) / 2


def absent(asked: Iterable[str], candidates: Iterable[str], count: int) -> tuple[str, ...]:
    """Concepts that are not related to anything asked for in the picture.

    The choice depends on the set of the asked concepts only, and differs between such sets.

    Args:
        asked: concepts of all candidates of one picture.
        candidates: concepts to choose from.
        count: how many at most.
    """
    present = sorted(set(asked))
    free = [
        name
        for name in candidates
        if name not in GENERIC and not any(related(name, one) for one in present)
    ]
    key = "\n".join(present)
    free.sort(key=lambda name: hashlib.sha256(f"{key}\n{name}".encode()).digest())
    return tuple(free[:count])


def fill(templates: Sequence[str], phrases: Sequence[str]) -> list[str]:
    """Every phrase in every template, phrase by phrase."""
    return [template.format(phrase) for phrase in phrases for template in templates]
