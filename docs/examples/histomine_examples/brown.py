"""A segmenter: in an immunostain, what the antibody marks is brown, and is outlined by colour."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import cv2
import numpy as np

from miner.core.parts import Part
from miner.core.settings import PartSettings
from segmenters.protocol import Candidate, Prompt, Segmenter
from segmenters.stain.colour import optical_density, white_point

# Natural-log optical density of blue light; anything paler is background staining.
LEAST_DENSITY = 0.3


class BrownConfig(PartSettings):
    """Brown areas of an immunostain.

    Attributes:
        marks: concept that the antibody marks.
    """

    kind: Literal["brown"] = "brown"
    marks: str


class BrownSegmenter(Segmenter):
    """Answers for the one concept that the antibody marks."""

    name = "brown"

    def __init__(self, config: BrownConfig, threads: int):
        self.marks = config.marks

    def supports(self, concept: str) -> bool:
        """Whether the antibody marks this concept."""
        return concept == self.marks

    def encode(self, image: np.ndarray, mpp: float | None) -> np.ndarray:
        """Brown pixels, bool (H, W), of a picture, uint8 (H, W, 3) RGB; colour needs no scale."""
        red, green, blue = np.moveaxis(optical_density(image, white_point(image)), -1, 0)
        # DAB swallows blue light most; hematoxylin red and green, eosin and blood green.
        brown = (blue > red) & (blue > green) & (blue > LEAST_DENSITY)
        return cv2.morphologyEx(brown.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3))) > 0

    def segment(self, encoded: np.ndarray, prompts: Sequence[Prompt]) -> list[Candidate]:
        """The brown pixels are the answer to each prompt; where there are none, it is empty."""
        mask, reason = (encoded, None) if encoded.any() else (None, "empty")
        labels = {"object": cv2.connectedComponents(encoded.astype(np.uint8))[1], "stuff": None}
        return [
            Candidate(p.concept, p.wordings[0], mask, labels[p.kind], 0.5, reason) for p in prompts
        ]


PART = Part(kind="brown", Settings=BrownConfig, build=BrownSegmenter)
