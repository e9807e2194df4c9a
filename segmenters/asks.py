"""What the segmenters are asked about one picture: its mentions, and decoys that are not in it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ner.concepts import concepts
from segmenters.config import SegmentConfig


def asks(
    mentions: Sequence[Mapping[str, Any]],
    facts: Sequence[Mapping[str, Any]],
    supported: Callable[[str], bool],
    config: SegmentConfig,
    image_id: str,
) -> list[dict[str, Any]]:
    """Derive what to ask about one picture.

    Args:
        mentions: `MENTION` rows of all its captions.
        facts: `FACT` rows of all its captions.
        supported: whether any segmenter can answer for a concept.
        config: how many decoys.
        image_id: seeds the choice of decoys.

    Returns:
        `ASK` rows: concepts in the order of their first mention, then the decoys. Uncertain
        mentions are not asked for, and keep their concept from becoming a decoy.
    """
    table = concepts()
    roles: dict[str, set[str]] = {}
    kinds: dict[str, str] = {}
    for mention in mentions:
        if mention["polarity"] == "affirmed" and mention["groundable"]:
            role = "positive"
        elif mention["polarity"] == "negated" and mention["concept"] in table:
            role = "negated"
        else:
            continue
        roles.setdefault(mention["concept"], set()).add(role)
        kinds.setdefault(mention["concept"], mention["kind"])
    sites = {fact["value"] for fact in facts if fact["kind"] == "site"}
    named = {mention["concept"] for mention in mentions}
    for concept in _decoys(named, sites, supported, image_id)[: config.decoys if roles else 0]:
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


def _decoys(
    named: set[str], sites: set[str], supported: Callable[[str], bool], image_id: str
) -> list[str]:
    """Concepts that can serve as decoys, best first.

    A concept that cannot occur in the picture's organ comes before one that is merely not
    mentioned; relatives of what is mentioned are left out, since they may well be there.
    """
    table = concepts()
    related = set(named)
    for name in sorted(named & table.keys()):
        concept = table[name]
        related |= {concept.parent or name, *concept.part_of}
    free = [
        c
        for c in table.values()
        if c.name not in related
        and c.parent not in named
        and not named & set(c.part_of)
        and supported(c.name)
    ]

    def rank(name: str) -> tuple[bool, str]:
        possible = not sites & set(table[name].not_sites)
        return possible, hashlib.sha256(f"{image_id}\0{name}".encode()).hexdigest()

    return sorted((c.name for c in free), key=rank)
