"""A segmenter: in an immunostain, what the antibody marks is brown, and is outlined by colour."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from segmenters.config import BrownConfig
from segmenters.protocol import Candidate, Prompt
from segmenters.stain.colour import optical_density, white_point

# Natural-log optical density of blue light; anything paler is background staining.
LEAST_DENSITY = 0.3


class BrownSegmenter:
    """Answers for the one concept that the antibody marks."""

    name = "brown"

    def __init__(self, config: BrownConfig):
        self.marks = config.marks

    def supports(self, concept: str) -> bool:
        """Whether the antibody marks this concept."""
        return concept == self.marks

    def encode(self, image: np.ndarray, mpp: float | None) -> np.ndarray:
        """Brown pixels, bool (H, W).

        Args:
            image: uint8 (H, W, 3), RGB.
            mpp: um per pixel, None when unknown; colour needs no scale.
        """
        red, green, blue = np.moveaxis(optical_density(image, white_point(image)), -1, 0)
        # DAB swallows blue light most; hematoxylin red and green, eosin and blood green.
        brown = (blue > red) & (blue > green) & (blue > LEAST_DENSITY)
        return cv2.morphologyEx(brown.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3))) > 0

    def segment(self, encoded: np.ndarray, prompts: Sequence[Prompt]) -> list[Candidate]:
        """Answer each prompt, in order."""
        return [_answer(encoded, prompt) for prompt in prompts]


def _answer(brown: np.ndarray, prompt: Prompt) -> Candidate:
    if not brown.any():
        return Candidate(prompt.concept, prompt.wordings[0], None, reason="empty")
    labels = None
    if prompt.kind == "object":
        labels = cv2.connectedComponents(brown.astype(np.uint8))[1]
    return Candidate(prompt.concept, prompt.wordings[0], brown, labels, confidence=0.5)
