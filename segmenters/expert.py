"""What the publisher's experts outlined, as the answers of a segmenter.

Readers of annotated sets (`miner/corpora/expert/`) put the outlines beside the pictures; here they
become candidates, which pass all further stages like any other. They are trusted: filters measure
them and never reject them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from miner.core.masks import united
from miner.core.parts import Part
from miner.core.settings import PartSettings
from segmenters.protocol import Candidate, Prompt, Segmenter


class ExpertConfig(PartSettings):
    """Masks that come with the pictures of an annotated set.

    Attributes:
        name: name in the ledger.
    """

    kind: Literal["expert"] = "expert"
    name: str = "expert"


class ExpertSegmenter(Segmenter):
    """Answers with the outlines that a picture came with: `empty` where experts saw none of it.

    A concept that they did not look for, or a picture of a set without outlines, is `unannotated`.
    """

    searches = False

    def __init__(self, config: ExpertConfig, threads: int):
        self.name = config.name

    def supports(self, concept: str) -> bool:
        """All of them: what is outlined differs from picture to picture."""
        return True

    def encode(self, image: np.ndarray, mpp: float | None) -> tuple[int, int]:
        """Height and width of a picture, uint8 (H, W, 3)."""
        return image.shape[0], image.shape[1]

    def segment(self, encoded: tuple[int, int], prompts: Sequence[Prompt]) -> list[Candidate]:
        """Answer each prompt, in order."""
        return [_answer(prompt, encoded) for prompt in prompts]


def _answer(prompt: Prompt, size: tuple[int, int]) -> Candidate:
    name, wording = prompt.concept, prompt.wordings[0]
    if prompt.given is None:
        return Candidate(name, wording, None, reason="unannotated", trusted=True)
    counts, whole = prompt.given.counts, prompt.given.complete
    if not counts:
        return Candidate(name, wording, None, reason="empty", trusted=True, complete=whole)
    apart = prompt.kind == "object" and prompt.given.apart
    union, mask = united(counts, *size)
    return Candidate(
        name,
        wording,
        mask,
        confidence=1.0,
        counts=union,
        instances=counts if apart else None,
        trusted=True,
        # Of objects that are not told apart nobody knows how many there are.
        complete=whole and (apart or prompt.kind != "object"),
    )


PART = Part(kind="expert", Settings=ExpertConfig, build=ExpertSegmenter)
