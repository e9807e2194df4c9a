"""Site guard: a hepatocyte asked for in a kidney is a finding about the text, not a label.

Sites come from the caption's facts; the concept table says in which organs a structure occurs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ner.concepts import Concept


def sites_of(facts: Iterable[Mapping[str, Any]] | None) -> frozenset[str]:
    """Organs named by a caption's facts (`FACT` rows), lower-case."""
    return frozenset(f["value"].lower() for f in facts or () if f["kind"] == "site" and f["value"])


def forbidden(concept: Concept | None, sites: frozenset[str]) -> bool:
    """Whether the concept cannot occur in any of the named organs.

    Text that names no organ, or one that is merely unusual, forbids nothing; where several organs
    are named (a metastasis in a lung, of the liver), one that allows the concept is enough.
    """
    if concept is None or not sites or not concept.not_sites:
        return False
    allowed = sites - set(concept.not_sites)
    return not allowed and not sites & set(concept.sites)
