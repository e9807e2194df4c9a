"""A score as another package would have it."""

from typing import Literal

from miner.core.parts import Part
from miner.core.settings import PartSettings


class RednessConfig(PartSettings):
    """How red it is.

    Attributes:
        most_px: larger masks are too much for it.
        memory_px: larger ones are too much for the memory.
    """

    kind: Literal["redness"] = "redness"
    most_px: int = 4000
    memory_px: int = 100_000


def build(config, threads):
    def redness(masked):
        if masked.mask.sum() > config.memory_px:
            raise MemoryError
        if masked.mask.sum() > config.most_px:
            raise ValueError("too large")
        return {"redness": masked.image[masked.mask][:, 0].mean() / 255}

    return redness


PART = Part(
    kind="redness", Settings=RednessConfig, build=build, columns={"redness": "mean red, 0..1"}
)
