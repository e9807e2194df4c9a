"""A score: how sharp the picture is under a mask; out of focus, an outline is a guess."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import cv2
import numpy as np

from filters.protocol import Masked, Scorer
from miner.core.parts import Part
from miner.core.settings import PartSettings


class SharpnessConfig(PartSettings):
    """How sharp the picture is under a mask.

    Attributes:
        least_contrast: grey values; a flat region is not called sharp for its noise.
    """

    kind: Literal["sharpness"] = "sharpness"
    least_contrast: float = 2.0


def build(config: SharpnessConfig, threads: int) -> Scorer:
    """The configured score.

    On nuclei of phantoms it is .26 and more; .07 to .13 when they are blurred by 1.5 um.
    """

    def sharpness(masked: Masked) -> Mapping[str, float]:
        grey = cv2.cvtColor(masked.image, cv2.COLOR_RGB2GRAY).astype(np.float32)
        edges = cv2.Laplacian(grey, cv2.CV_32F)[masked.mask].std()
        return {"sharpness": float(edges / max(grey[masked.mask].std(), config.least_contrast))}

    return sharpness


PART = Part(
    kind="sharpness",
    Settings=SharpnessConfig,
    build=build,
    columns={"sharpness": "spread of the Laplacian over the spread of the grey values, from 0"},
)
