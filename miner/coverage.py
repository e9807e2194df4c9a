"""What share of what captions name the segmenters can answer for, before anything is mined."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from typing import cast

from miner.config import Config
from miner.core.rows import FactRow


@dataclasses.dataclass(frozen=True)
class Coverage:
    """Affirmed structures that captions name.

    Attributes:
        named: concept -> how often.
        known: concept -> how often a segmenter can answer for it, by itself or as another concept
            with the same mask (`segmenters.equivalents`); whether a mask comes out is another
            matter.
    """

    named: dict[str, int]
    known: dict[str, int]

    @property
    def share(self) -> float | None:
        """Share of the mentions that can be answered, 0..1; None where nothing is named."""
        total = sum(self.named.values())
        return sum(self.known.values()) / total if total else None


def coverage(captions: Sequence[str], config: Config) -> Coverage:
    """Read captions as a run would, without a language model, and ask what segmenters know.

    Args:
        captions: texts.
        config: whose `ner` and `segment` count; the segmenters' models are loaded.

    Raises:
        Refused: a model is missing or does not fit.
    """
    from ner.extractor import Extractor
    from segmenters import registry
    from segmenters.asks import diagnoses_of, site_of
    from segmenters.equivalents import answered_as

    extract = Extractor(config.ner.model_copy(update={"llm": None}))
    segmenters = registry.build(config.segment, config.runner.threads)
    named: Counter[str] = Counter()
    known: Counter[str] = Counter()
    for found in extract(captions):
        facts = [cast(FactRow, fact._asdict()) for fact in found.facts]
        site, diagnoses = site_of(facts), diagnoses_of(facts)
        for mention in found.mentions:
            if mention.polarity != "affirmed" or not mention.groundable:
                continue
            named[mention.concept] += 1
            known[mention.concept] += any(
                answered_as(mention.concept, one.supports, site, diagnoses) for one in segmenters
            )
    order = sorted(named, key=lambda name: (-named[name], name))
    return Coverage({name: named[name] for name in order}, {name: known[name] for name in order})
