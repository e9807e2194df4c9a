"""Whether a mention can be outlined in this picture, and if not, why not.

Reasons: `negated`, `uncertain` (the caption does not say it is there), `finding` (the structure
does not occur at the site the caption names), `scale` (too small for the magnification),
`vague` (names no particular structure).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ner.concepts import Concept
from ner.mentions import Fact

# Smallest object, in um, that can be outlined at these magnifications: about five pixels of a
# 1000 px picture of the field.
SMALLEST_UM = {"low power": 8.0, "1x": 20.0, "2x": 10.0, "4x": 5.0, "5x": 4.0}
# At these the whole tissue is in view and single cells still count as visible.
VAGUE = frozenset({"structure", "area", "tissue", "material", "component", "lesion"})


def reason(
    concept: str, polarity: str, facts: Sequence[Fact], table: Mapping[str, Concept]
) -> str | None:
    """Return why a mention is not groundable, or None when it is.

    Args:
        concept: canonical name, a key of `table`.
        polarity: affirmed, negated or uncertain.
        facts: facts of the caption.
        table: the concept table.
    """
    if polarity != "affirmed":
        return polarity
    row = table[concept]
    if row.name in VAGUE:
        return "vague"
    sites = {fact.value for fact in facts if fact.kind == "site"}
    if sites and (sites <= set(row.not_sites)):
        return "finding"
    if row.size_um:
        scales = [
            SMALLEST_UM.get(fact.value, 0.0) for fact in facts if fact.kind == "magnification"
        ]
        if scales and row.size_um[1] < min(scales):
            return "scale"
    return None
