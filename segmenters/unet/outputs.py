"""What each of the networks tells, map by map, and at what scale it looks."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


@dataclasses.dataclass(frozen=True)
class Head:
    """The maps of one network.

    Attributes:
        mpp: um per pixel of what it is trained on, in the middle.
        sigmoid: maps that are probabilities of their own, in the order of the channels.
        softmax: maps that share one softmax; they follow the sigmoid ones.
        widths: channels per level of the network, finest first.
        zoom: pixels of the picture per pixel of the logits, along a side.
    """

    mpp: float
    sigmoid: tuple[str, ...]
    softmax: tuple[str, ...]
    widths: tuple[int, ...] = (16, 48, 96, 128)
    zoom: int = 1

    @property
    def outputs(self) -> int:
        """Number of channels."""
        return len(self.sigmoid) + len(self.softmax)

    def activate(self, logits: torch.Tensor) -> torch.Tensor:
        """Probabilities, float32 (n, k, H, W), of the logits of the first k maps, whole groups."""
        import torch

        k = len(self.sigmoid)
        return torch.cat([torch.sigmoid(logits[:, :k]), torch.softmax(logits[:, k:], dim=1)], 1)


# `centre`: 0 at the outline of an object, 1 where it is deepest.
NUCLEI = Head(
    0.5,
    ("nucleus", "centre", "red blood cell"),
    ("epithelial nucleus", "lymphocyte", "stromal nucleus", "neutrophil", "macrophage"),
    # One halving more: whether something dark is a nucleus takes its surroundings to tell.
    (16, 48, 96, 128, 96),
)
# In PAS. A glomerulus is 200 um across: three um per pixel show it and its surroundings.
GLOMERULI = Head(3.0, ("glomerulus",), (), (16, 32, 64, 96))
HEADS = {"nuclei": NUCLEI, "glomeruli": GLOMERULI}
