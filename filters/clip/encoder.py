"""What agreement asks of a CLIP, and the one that the configuration names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from filters.clip.config import ClipConfig


class Encoder(Protocol):
    """A CLIP: texts, dense features and crops into one space."""

    crop_px: int
    logit_scale: float

    def judged_as(self, concept: str) -> str | None:
        """The concept whose phrases stand for this one; None where the model knows none."""
        ...

    def texts(self, texts: Sequence[str]) -> np.ndarray:
        """Embeddings of texts, float32 (n, d), L2-normalised."""
        ...

    def dense(self, image: np.ndarray) -> np.ndarray:
        """Dense features of a picture uint8 (H, W, 3): float32 (rows, columns, c)."""
        ...

    def regions(self, dense: np.ndarray, weights: Sequence[np.ndarray]) -> np.ndarray:
        """Embeddings of n regions given by weights (rows, columns) each: float32 (n, d)."""
        ...

    def crops(self, crops: np.ndarray, masks: np.ndarray) -> np.ndarray:
        """Embeddings of crops uint8 (n, crop_px, crop_px, 3): float32 (n, d).

        The regions in them, bool (n, crop_px, crop_px), are for models that can use them.
        """
        ...


def load(config: ClipConfig, threads: int) -> Encoder:
    """The encoder that the configuration names.

    Raises:
        Refused: it does not exist or is of no known class.
    """
    if config.model == "embedded":
        from filters.clip.embedded import EmbeddedClip

        return EmbeddedClip(threads, config.long_side_px)
    from filters.clip.checkpoint import CheckpointClip

    return CheckpointClip(config, threads)
