"""What the segmenters are asked about one picture: its mentions, and decoys that are not in it."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Mapping, Sequence

from miner.core.rows import AskRow, FactRow, Kind, MentionRow
from ner.concepts import Concept, concepts
from ner.families import family, homes, related
from ner.ground import forbidden, sites_of
from segmenters.config import SegmentConfig
from segmenters.equivalents import equivalents

# In most tissue, whether a caption says so or not: no phrase that is surely wrong.
COMMON = frozenset(
    {
        "cell",
        "nucleus",
        "epithelial nucleus",
        "stromal nucleus",
        "cytoplasm",
        "stroma",
        "epithelium",
        "connective tissue",
        "collagen",
        "fibroblast",
        "lymphocyte",
        "inflammatory cell",
        "red blood cell",
        "blood vessel",
        "endothelial cell",
        "lumen",
        "tumor",
        "tumor cell",
        "tissue",
        "fat",
        "inflammation",
        "lymphocytic infiltrate",
        "mitotic figure",
        "muscle",
    }
)
# The embedded segmenter tells these in another stain than H&E: a decoy would hardly have a mask.
OTHER_STAIN = frozenset({"glomerulus"})


def asks(
    mentions: Sequence[MentionRow],
    facts: Sequence[FactRow],
    supported: Callable[[str], bool],
    config: SegmentConfig,
    image_id: str,
) -> list[AskRow]:
    """Derive what to ask about one picture.

    Args:
        mentions: of all its captions.
        facts: of all its captions.
        supported: whether any segmenter can answer for a concept.
        config: how many decoys.
        image_id: seeds the choice of decoys.

    Returns:
        Concepts in the order of their first mention, then the decoys. Uncertain
        mentions are not asked for, and keep their concept from becoming a decoy.
    """
    table = concepts()
    roles: dict[str, set[str]] = {}
    kinds: dict[str, Kind] = {}
    for mention in mentions:
        if mention["polarity"] == "affirmed" and mention["groundable"]:
            role = "positive"
        elif mention["polarity"] == "negated" and mention["concept"] in table:
            role = "negated"
        else:
            continue
        roles.setdefault(mention["concept"], set()).add(role)
        kinds.setdefault(mention["concept"], mention["kind"])
    named = {mention["concept"] for mention in mentions}
    positive = {name for name, found in roles.items() if "positive" in found}
    wanted = config.decoys if roles else 0
    decoys = _decoys(named, positive, sites_of(facts), supported, image_id) if wanted else []
    for concept in decoys[:wanted]:
        roles[concept] = {"decoy"}
        kinds[concept] = table[concept].kind
    return [
        {
            "concept": concept,
            "kind": kinds[concept],
            "roles": sorted(found),
            "wordings": list(table[concept].wordings) if concept in table else [concept],
        }
        for concept, found in roles.items()
    ]


def site_of(facts: Sequence[FactRow]) -> str | None:
    """The organ, where the captions of a picture name exactly one."""
    sites = {fact["value"] for fact in facts if fact["kind"] == "site"}
    return sites.pop() if len(sites) == 1 else None


def diagnoses_of(facts: Sequence[FactRow]) -> tuple[str, ...]:
    """Diagnoses that the captions of a picture state, lower-case and sorted."""
    return tuple(sorted({fact["value"].lower() for fact in facts if fact["kind"] == "diagnosis"}))


def _decoys(
    named: set[str],
    positive: set[str],
    sites: frozenset[str],
    supported: Callable[[str], bool],
    image_id: str,
) -> list[str]:
    """Concepts that can serve as decoys, best first.

    A decoy must not be in the picture, nor anything that has the same mask: that of a gland is no
    wrong one, whatever organ's gland it was asked for. Surest are concepts that cannot occur in
    the organ, then those that occur in other organs only, then those nobody mentions; relatives of
    what is mentioned, what is at home in the organ and what most tissue contains are never decoys.
    Among equally sure ones those come first that a segmenter answers as themselves, for of these it
    can be known how often they are missed, then those of the family of an affirmed concept, since
    they resemble it in kind and size.
    """
    table = concepts()
    families = {family(table[n], table[n].kind) for n in positive if n in table}
    shown = _shown()
    there = named.union(*(equivalents(name) for name in named))
    present = COMMON.union(OTHER_STAIN, *map(_kin, there))
    free = [
        concept
        for name, concept in table.items()
        if present.isdisjoint(shown[name]) and supported(name) and not homes(name) & sites
    ]

    def unsure(name: str) -> int:
        elsewhere = sites and table[name].sites and not sites & set(table[name].sites)
        return 0 if forbidden(table[name], sites) else 1 if elsewhere else 2

    def rank(concept: Concept) -> tuple[int, bool, bool, str]:
        alike = family(concept, concept.kind) in families
        digest = hashlib.sha256(f"{image_id}\0{concept.name}".encode()).hexdigest()
        sure = max(map(unsure, shown[concept.name]))
        return sure, sure > 0 and len(shown[concept.name]) > 1, not alike, digest

    # Of those that have one mask only the first: it is one answer, however often it is asked for.
    chosen: dict[str, str] = {}
    for concept in sorted(free, key=rank):
        chosen.setdefault(shown[concept.name][-1], concept.name)
    return list(chosen.values())


@functools.cache
def _shown() -> Mapping[str, tuple[str, ...]]:
    """Every concept of the table and those whose mask it has."""
    return {name: (name, *equivalents(name)) for name in concepts()}


@functools.lru_cache(maxsize=4096)
def _kin(concept: str) -> frozenset[str]:
    """Concepts that are related to one, of all that are in `_shown`."""
    table = concepts()
    names = {name for shown in _shown().values() for name in shown}
    return frozenset(name for name in names if related(name, concept, table))
