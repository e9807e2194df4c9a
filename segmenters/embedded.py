"""The default segmenter: what ships in the package, per concept whichever answers best."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from segmenters.protocol import Candidate, Prompt
from segmenters.stain import StainSegmenter


class EmbeddedSegmenter:
    """Needs no download."""

    name = "embedded"

    def __init__(self) -> None:
        self._stain = StainSegmenter()

    def supports(self, concept: str) -> bool:
        """Whether the concept can be answered at all."""
        return self._stain.supports(concept)

    def encode(self, image: np.ndarray, mpp: float | None) -> Any:
        """Encode one picture for any number of prompts.

        Args:
            image: uint8 (H, W, 3), RGB.
            mpp: um per pixel, None when unknown.
        """
        return self._stain.encode(image, mpp)

    def segment(self, encoded: Any, prompts: Sequence[Prompt]) -> list[Candidate]:
        """Answer each prompt, in order."""
        return self._stain.segment(encoded, prompts)
