"""Whether a mention can be outlined in this picture, and if not, why not.

Reasons: `negated`, `uncertain` (the caption does not say it is there), `finding` (the structure
does not occur at the site the caption names), `scale` (too small for the magnification),
`specimen` (a layer of tissue in a smear), `vague` (names no particular structure).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ner.concepts import Concept
from ner.mentions import Fact

# Smallest object, in um, that can be outlined at these magnifications: about five pixels of a
# 1000 px picture of the field.
SMALLEST_UM = {"low power": 8.0, "1x": 20.0, "2x": 10.0, "4x": 5.0, "5x": 4.0}
VAGUE = frozenset({"structure", "area", "tissue", "material", "component", "body", "focus"})
# Smears, imprints and aspirates keep cells and fragments, no layers.
LAYERS = frozenset(
    {
        "dermis",
        "dermoepidermal junction",
        "epidermis",
        "lamina propria",
        "muscularis mucosae",
        "muscularis propria",
        "rete ridge",
        "serosa",
        "stratum corneum",
        "subcutis",
        "submucosa",
    }
)


class Picture(NamedTuple):
    """What the facts of a caption say about its picture.

    Attributes:
        sites: organs named.
        smallest_um: diameter below which objects cannot be outlined; 0 when unknown.
        cytology: whether the specimen is a smear or the like.
    """

    sites: frozenset[str]
    smallest_um: float
    cytology: bool


NOTHING = Picture(frozenset(), 0.0, False)


def picture(facts: Sequence[Fact]) -> Picture:
    """Return what the facts of a caption say about its picture."""
    if not facts:
        return NOTHING
    by_kind: dict[str, list[str]] = {"site": [], "magnification": [], "specimen": []}
    for kind, value, _, _ in facts:
        if kind in by_kind:
            by_kind[kind].append(value)
    scales = [SMALLEST_UM.get(value, 0.0) for value in by_kind["magnification"]]
    return Picture(
        frozenset(by_kind["site"]),
        min(scales, default=0.0),
        set(by_kind["specimen"]) == {"cytology"},
    )


def sites_of(facts: Iterable[Mapping[str, Any]] | None) -> frozenset[str]:
    """Organs named by a caption's facts (`FACT` rows), lower-case."""
    return frozenset(f["value"].lower() for f in facts or () if f["kind"] == "site" and f["value"])


def forbidden(concept: Concept | None, sites: frozenset[str]) -> bool:
    """Whether the concept cannot occur in any of the named organs: the site guard.

    Text that names no organ, or one that is merely unusual, forbids nothing; where several organs
    are named (a metastasis in a lung, of the liver), one that allows the concept is enough.
    """
    if concept is None or not sites or not concept.not_sites:
        return False
    return sites.issubset(concept.not_sites)


def reason(concept: Concept, polarity: str, seen: Picture) -> str | None:
    """Return why a mention is not groundable, or None when it is.

    Several sites or magnifications in one caption are read kindly: the structure must be impossible
    at each of them.

    Args:
        concept: row of the concept table.
        polarity: affirmed, negated or uncertain.
        seen: what the caption says about its picture.
    """
    if polarity != "affirmed":
        return polarity
    if concept.name in VAGUE:
        return "vague"
    if seen is NOTHING:
        return None
    if forbidden(concept, seen.sites):
        return "finding"
    if concept.size_um and concept.size_um[1] < seen.smallest_um:
        return "scale"
    if seen.cytology and concept.name in LAYERS:
        return "specimen"
    return None
