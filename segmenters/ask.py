"""Ask segmenters about one picture: of a run, or outside of any."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence

import cv2
import numpy as np

from miner.core.errors import lacks_memory
from ner.concepts import concepts
from ner.lexicon import Lexicon
from segmenters import figures, registry
from segmenters.config import SegmentConfig
from segmenters.ensemble import with_agreement
from segmenters.equivalents import answered_as
from segmenters.protocol import Candidate, Prompt, Segmenter

log = logging.getLogger(__name__)


def to_prompt(phrase: str, site: str | None = None) -> Prompt:
    """A prompt for a concept, a synonym of one, or any other phrase (asked for as stuff)."""
    plain = " ".join(phrase.split())
    found = {mention.concept for mention in Lexicon()(plain).mentions}
    known = concepts().get(plain.lower()) or concepts().get(found.pop() if len(found) == 1 else "")
    if known is None:
        return Prompt(plain, "stuff", (plain,), site)
    return Prompt(known.name, known.kind, tuple(dict.fromkeys((plain, *known.wordings))), site)


def refusals(prompts: Sequence[Prompt], reason: str) -> list[Candidate]:
    """A candidate without a mask per prompt."""
    return [Candidate(p.concept, p.wordings[0], None, reason=reason) for p in prompts]


def ask(
    segmenter: Segmenter,
    image: np.ndarray,
    mpp: float | None,
    prompts: Sequence[Prompt],
    name: str = "",
) -> list[Candidate]:
    """Candidates of one segmenter, in the order of the prompts.

    A concept that it does not know is asked for as one that has the same mask, where there is one;
    the candidate says so. A picture on which a model fails must not end the run: its questions get
    a reason.

    Args:
        segmenter: whose answers.
        image: uint8 (H, W, 3), RGB.
        mpp: um per px, None when unknown.
        prompts: what to look for.
        name: of the picture, for segmenters that answer from files.
    """
    asked, found = [], refusals(prompts, reason="unsupported")
    for i, prompt in enumerate(prompts):
        known = answered_as(prompt.concept, segmenter.supports, prompt.site, prompt.diagnoses)
        if known is not None:
            asked.append((i, _renamed(prompt, known)))
    if not asked:
        return found
    shown = [prompt for _, prompt in asked]
    try:
        encoded = segmenter.encode_named(name, image, mpp)
        answers = segmenter.segment(encoded, shown)
    except Exception as error:
        if type(error).__name__ == "AcceleratorError" or lacks_memory(error):
            raise  # no matter of this picture: a broken GPU fails all that follow
        log.warning("%s: %s failed: %s", name, segmenter.name, error)
        answers = refusals(shown, reason=f"failed:{type(error).__name__}")
    for (i, prompt), answer in zip(asked, answers, strict=True):
        found[i] = _answer(prompts[i], prompt, answer)
    return found


def ask_all(
    segmenters: Sequence[Segmenter],
    image: np.ndarray,
    mpp: float | None,
    prompts: Sequence[Prompt],
    name: str = "",
) -> tuple[list[list[Candidate]], np.ndarray]:
    """Candidates of every segmenter, and where figures are drawn on the picture, bool (H, W).

    Segmenters see the picture without its arrows, scale bars and letters, and none of these is in a
    mask. Where none of them looks at the picture, it is not searched for figures. See `ask` for the
    arguments.
    """
    if not any(one.searches for one in segmenters):
        nothing = np.zeros(image.shape[:2], bool)
        return [ask(one, image, mpp, prompts, name) for one in segmenters], nothing
    drawn = figures.drawn(image)
    shown = figures.without(image, drawn)
    found = [ask(one, shown, mpp, prompts, name) for one in segmenters]
    if drawn.any():
        found = [[_cut(candidate, drawn) for candidate in own] for own in found]
    return found, drawn


def _cut(candidate: Candidate, drawn: np.ndarray) -> Candidate:
    """A candidate without the pixels of figures."""
    if candidate.mask is None or candidate.trusted:
        return candidate
    labels = None if candidate.labels is None else np.where(drawn, 0, candidate.labels)
    return dataclasses.replace(candidate, mask=candidate.mask & ~drawn, labels=labels)


def _renamed(prompt: Prompt, concept: str) -> Prompt:
    if concept == prompt.concept:
        return prompt
    known = concepts()[concept]
    return dataclasses.replace(prompt, concept=concept, kind=known.kind, wordings=known.wordings)


def _answer(wanted: Prompt, asked: Prompt, answer: Candidate) -> Candidate:
    """The answer to what was asked as an answer to what is wanted."""
    asked_as = answer.asked_as or (None if asked is wanted else asked.concept)
    answer = dataclasses.replace(answer, concept=wanted.concept, asked_as=asked_as)
    if asked_as is None or answer.mask is None:
        return answer
    if wanted.kind != "object":
        return dataclasses.replace(answer, labels=None)
    if answer.labels is not None:
        return answer
    # Single nests are the separate parts of the epithelium.
    _, parts = cv2.connectedComponents(answer.mask.astype(np.uint8), connectivity=4)
    return dataclasses.replace(answer, labels=parts.astype(np.int32))


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
    given, _ = ask_all(segmenters, image, mpp, prompts, name)
    found = with_agreement(given)
    return [
        (segmenter.name, candidate)
        for segmenter, own in zip(segmenters, found, strict=True)
        for candidate in own
    ]
