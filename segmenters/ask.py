"""Ask the configured segmenters about one picture, outside of any run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ner.concepts import concepts
from ner.lexicon import Lexicon
from segmenters import registry
from segmenters.config import SegmentConfig
from segmenters.ensemble import with_agreement
from segmenters.protocol import Candidate, Prompt


def to_prompt(phrase: str, site: str | None = None) -> Prompt:
    """A prompt for a concept, a synonym of one, or any other phrase (asked for as stuff)."""
    plain = " ".join(phrase.split())
    found = {mention.concept for mention in Lexicon()(plain).mentions}
    known = concepts().get(plain.lower()) or concepts().get(found.pop() if len(found) == 1 else "")
    if known is None:
        return Prompt(plain, "stuff", (plain,), site)
    return Prompt(known.name, known.kind, tuple(dict.fromkeys((plain, *known.wordings))), site)


def answers(
    config: SegmentConfig,
    threads: int,
    image: np.ndarray,
    prompts: Sequence[Prompt],
    mpp: float | None,
    name: str = "",
) -> list[tuple[str, Candidate]]:
    """Every segmenter's answer to every prompt, as pairs of its name and the candidate.

    Args:
        config: which segmenters.
        threads: for segmenters that need the number.
        image: uint8 (H, W, 3), RGB.
        prompts: what to look for.
        mpp: um per px, None when unknown.
        name: of the picture, for segmenters that answer from files.

    Raises:
        Refused: a segmenter cannot be built.
    """
    segmenters = registry.build(config, threads)
    found = []
    for segmenter in segmenters:
        asked = [p for p in prompts if segmenter.supports(p.concept)]
        named = getattr(segmenter, "encode_named", None)
        encoded = named(name, image, mpp) if named else segmenter.encode(image, mpp)
        given = {c.concept: c for c in segmenter.segment(encoded, asked)} if asked else {}
        unsupported = {
            p.concept: Candidate(p.concept, p.wordings[0], None, reason="unsupported")
            for p in prompts
        }
        found.append([given.get(p.concept, unsupported[p.concept]) for p in prompts])
    return [
        (segmenter.name, candidate)
        for segmenter, own in zip(segmenters, with_agreement(found), strict=True)
        for candidate in own
    ]
