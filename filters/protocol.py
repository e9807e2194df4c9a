"""What a score from a part is: a number or some, measured of one candidate mask."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Protocol

import numpy as np


@dataclasses.dataclass(frozen=True)
class Masked:
    """A candidate mask on its picture.

    Attributes:
        image: uint8 (H, W, 3), RGB.
        mpp: um per pixel, None when unknown.
        mask: bool (H, W), not empty.
        labels: int32 (H, W), single objects, or the connected parts of a region; 0 elsewhere.
        concept: as which it is judged, a key of `ner.concepts.concepts()`.
        kind: "object" or "stuff".
    """

    image: np.ndarray
    mpp: float | None
    mask: np.ndarray
    labels: np.ndarray
    concept: str
    kind: str


class Scorer(Protocol):
    """What `build` of a part in the group `scores` gives."""

    def __call__(self, masked: Masked) -> Mapping[str, float]:
        """Values of the part's `columns`; one that is not defined for this mask is left out.

        What it raises costs the values of this mask, not the run.
        """
        ...
