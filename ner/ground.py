"""Whether a mention can be outlined in this picture, and if not, why not.

Reasons: `negated`, `uncertain` (the caption does not say it is there), `finding` (the structure
does not occur at the site the caption names), `scale` (too small for the magnification),
`specimen` (a layer of tissue in a smear), `vague` (names no particular structure).
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypedDict

from miner.core.rows import FactRow
from ner.concepts import Concept
from ner.families import homes
from ner.mentions import Fact, Mention

# Smallest object, in um, that can be outlined: about five pixels of a 1000 px picture of the field,
# at low power and through the weakest objectives, by their magnification.
LOW_POWER_UM = 8.0
SMALLEST_UM_AT_1X, WEAK = 20.0, 5.0
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


class PictureFacts(NamedTuple):
    """What the facts of a caption say about its picture.

    Attributes:
        sites: organs named.
        smallest_um: diameter below which objects cannot be outlined; 0 when unknown.
        cytology: whether the specimen is a smear or the like.
    """

    sites: frozenset[str]
    smallest_um: float
    cytology: bool


NOTHING = PictureFacts(frozenset(), 0.0, False)


class Named(TypedDict):
    """What of a mention says where a concept is named: `start` to `end` of the text."""

    concept: str
    start: int
    end: int


def picture(facts: Sequence[Fact]) -> PictureFacts:
    """Return what the facts of a caption say about its picture."""
    if not facts:
        return NOTHING
    sites, specimens, smallest_um = set(), set(), None
    for kind, value, _, _ in facts:
        if kind == "site":
            sites.add(value)
        elif kind == "magnification":
            scale = _smallest_um(value)
            smallest_um = scale if smallest_um is None else min(scale, smallest_um)
        elif kind == "specimen":
            specimens.add(value)
    return PictureFacts(frozenset(sites), smallest_um or 0.0, specimens == {"cytology"})


@functools.cache
def _smallest_um(magnification: str) -> float:
    """Diameter in um below which objects cannot be outlined; 0 where there is no such limit."""
    if not magnification[0].isdigit():
        return LOW_POWER_UM if magnification == "low power" else 0.0
    times = float(magnification.removesuffix("x"))
    return SMALLEST_UM_AT_1X / times if 0 < times <= WEAK else 0.0


def sites_of(facts: Iterable[FactRow] | None) -> frozenset[str]:
    """Organs named by a caption's facts, lower-case."""
    return frozenset(f["value"].lower() for f in facts or () if f["kind"] == "site" and f["value"])


def named_sites(facts: Iterable[FactRow], mentions: Sequence[Named]) -> frozenset[str]:
    """Organs that a text names in words of their own, which can rule out what they lack.

    Those that only a structure at home there tells ("glomeruli", "liver cells") are not among them:
    that structure may be one of another picture, and then so is the organ.

    Args:
        facts: of the text.
        mentions: of the same text.
    """
    return sites_of(fact for fact in facts if not any(_told(fact, mention) for mention in mentions))


def _told(fact: FactRow, mention: Named) -> bool:
    """Whether a structure at home in an organ tells that organ; what is in no text none tells."""
    start, end = fact["start"], fact["end"]
    if start is None or end is None or fact["value"] not in homes(mention["concept"]):
        return False
    return mention["start"] <= start and end <= mention["end"]


def forbidden(concept: Concept | None, sites: frozenset[str]) -> bool:
    """Whether the concept cannot occur in any of the named organs: the site guard.

    Text that names no organ, or one that is merely unusual, forbids nothing; where several organs
    are named (a metastasis in a lung, of the liver), one that allows the concept is enough.
    """
    if concept is None or not sites or not concept.not_sites:
        return False
    return sites.issubset(concept.not_sites)


def judge(mention: Mention, concept: Concept, seen: PictureFacts, facts: Sequence[Fact]) -> Mention:
    """Return a mention with whether and why not it is groundable.

    A mention does not vouch for itself: the liver of "liver cells" is no other site of a kidney.

    Args:
        mention: with its polarity.
        concept: its row in the table.
        seen: what the facts say about the picture.
        facts: those of its text.
    """
    why = reason(concept, mention.polarity, seen)
    if why is None and concept.not_sites and len(seen.sites) > 1:
        others = frozenset(
            value
            for kind, value, start, end in facts
            if kind == "site" and not mention.start <= start < end <= mention.end
        )
        if forbidden(concept, others):
            why = "finding"
    return mention._replace(groundable=why is None, reason=why)


def reason(concept: Concept, polarity: str, seen: PictureFacts) -> str | None:
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
