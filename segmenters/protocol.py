"""What every segmenter is: encode an image once, then answer any number of prompts."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np


@dataclasses.dataclass(frozen=True)
class Given:
    """What the publisher's experts outlined of one concept in one picture.

    Attributes:
        counts: COCO compressed RLE counts; none where they saw none of it.
        apart: whether each of them is one object.
        complete: whether all of the picture was looked at for it.
    """

    counts: tuple[str, ...]
    apart: bool
    complete: bool = True


@dataclasses.dataclass(frozen=True)
class Prompt:
    """One thing to look for in one picture.

    Attributes:
        concept: canonical concept name (a key of `ner.concepts.concepts()`).
        kind: "object" (wants single instances) or "stuff" (wants a region).
        wordings: phrases to prompt with, best first, never empty.
        site: organ the captions name, None when they do not or differ.
        diagnoses: that the captions state, None when there are no captions.
        given: what experts outlined of it, None where they did not look for it.
    """

    concept: str
    kind: str
    wordings: tuple[str, ...]
    site: str | None = None
    diagnoses: tuple[str, ...] | None = None
    given: Given | None = None


@dataclasses.dataclass(frozen=True)
class Candidate:
    """The answer to one prompt.

    Attributes:
        concept: as asked.
        prompt: the wording that was used.
        mask: bool (H, W) at the size of the image, or None when there is none.
        labels: int32 (H, W), 0 background, 1..n single objects, None for stuff and where
            `instances` say it. Where given, `mask` equals `labels > 0`.
        confidence: the segmenter's own confidence, 0..1.
        reason: why there is no mask: "empty", "unsupported", "out_of_support", or None.
        scores: further named scores of the segmenter (finite floats).
        asked_as: the concept whose mask it is and as which it is judged, where that is another
            than the one asked for (see `segmenters.equivalents`), else None.
        counts: RLE counts of `mask` where they are known already.
        instances: RLE counts of the objects, in order, where they are known already.
        trusted: it is the truth: filters measure it and never reject it, figures are not cut out.
        complete: it is all of the concept that there is, and its objects are all told apart.
    """

    concept: str
    prompt: str
    mask: np.ndarray | None
    labels: np.ndarray | None = None
    confidence: float = 0.0
    reason: str | None = None
    scores: Mapping[str, float] = dataclasses.field(default_factory=dict)
    asked_as: str | None = None
    counts: str | None = None
    instances: tuple[str, ...] | None = None
    trusted: bool = False
    complete: bool = False


class Segmenter(Protocol):
    """A text-prompted (or closed-vocabulary) segmenter.

    Segmenters inherit from this. The scores that a segmenter's candidates carry are the `columns`
    of its part, so that every unit has the same ones.
    """

    name: str
    # Whether it looks for what it is asked; if not, decoys tell nothing, and where none of the
    # segmenters does, the picture that they are given is a black one.
    searches: bool = True

    def supports(self, concept: str) -> bool:
        """Whether the segmenter can answer for this concept at all."""
        ...

    def encode(self, image: np.ndarray, mpp: float | None) -> Any:
        """Encode one image for any number of prompts.

        Args:
            image: uint8 (H, W, 3), RGB.
            mpp: um per pixel, None when unknown.
        """
        ...

    def encode_named(self, image_id: str, image: np.ndarray, mpp: float | None) -> Any:
        """Encode a picture whose name matters; as it stands, the name does not.

        Args:
            image_id: "{corpus}/{image name}".
            image: uint8 (H, W, 3), RGB.
            mpp: um per pixel, None when unknown.
        """
        return self.encode(image, mpp)

    def segment(self, encoded: Any, prompts: Sequence[Prompt]) -> list[Candidate]:
        """Answer each prompt, in order; one candidate per prompt, never fewer."""
        ...
