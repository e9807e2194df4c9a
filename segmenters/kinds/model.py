"""The network of kinds: the first stages of the encoder and a light decoder."""

from __future__ import annotations

import pathlib

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from miner.core.convolutions import ready
from segmenters.regions.model import STAGES, Encoder
from segmenters.regions.outputs import KINDS
from segmenters.stain.style import Style, restyle, style_of
from segmenters.unet.weights import FOLDER, filled

FILE = FOLDER / "kinds.pt"
# um per pixel of what it is trained on, in the middle, and of what it is shown: object F1 of
# lymphocytes and stromal nuclei of brca_m2c kept apart, together with what else tells kinds, at
# .55, .62 and .7: .699, .707, .706 and .422, .426, .417; coarser is cheaper.
MPP = 0.5
LOOK_MPP = 0.625
# Mean and covariance of the optical density of tissue in the tiles of brca_m2c that it was trained
# on. Shown in these colours at .55 um, lymphocytes there have, by this network alone, .716 instead
# of .700 (scale hidden: .699, .678), stromal nuclei .402 instead of .408 (.395, .387).
USUAL: Style = (
    np.array([0.3891, 0.6876, 0.3513]),
    np.array(
        [[0.06083, 0.07571, 0.03805], [0.07571, 0.10934, 0.05433], [0.03805, 0.05433, 0.03109]]
    ),
)
_STAGES = 5
# Stages that the decoder reads, from coarse to fine, and its channels.
_READ = (2, 1)
_DECODER = (64, 48)


class KindNet(nn.Module):
    """Encoder, decoder and a linear head; logits at half the resolution of the input."""

    stride = 16

    def __init__(self) -> None:
        """Lay out the layers."""
        super().__init__()
        self.encoder = Encoder(_STAGES)
        up, deep = [], STAGES[_STAGES - 1][4]
        for i, out in zip(_READ, _DECODER, strict=True):
            convolution = nn.Conv2d(deep + STAGES[i][4], out, 3, padding=1, bias=False)
            up.append(nn.Sequential(convolution, nn.BatchNorm2d(out), nn.ReLU(inplace=True)))
            deep = out
        self.up = nn.ModuleList(up)
        self.head = nn.Conv2d(deep, 4 * len(KINDS), 1)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Logits.

        Args:
            pixels: float32 (n, 3, H, W), RGB, 0..1; H and W multiples of `stride`.

        Returns:
            float32 (n, kinds, H / 2, W / 2).
        """
        return functional.pixel_shuffle(self.blocks(pixels), 2)

    def blocks(self, pixels: torch.Tensor) -> torch.Tensor:
        """The same as the network leaves them: (n, 4 * kinds, H / 4, W / 4), block by block."""
        maps = self.encoder(pixels)
        deep = maps[-1]
        for level, i in zip(self.up, _READ, strict=True):
            deep = level(torch.cat([functional.interpolate(deep, scale_factor=2), maps[i]], dim=1))
        return self.head(deep)


class KindHead:
    """How the logits of the network are read, see `segmenters.unet.predict`."""

    outputs = len(KINDS)
    zoom = 2

    @staticmethod
    def activate(logits: torch.Tensor) -> torch.Tensor:
        """Probabilities, float32 (n, kinds, H, W), of logits of the same shape."""
        return torch.softmax(logits, dim=1)


def load(path: pathlib.Path = FILE) -> KindNet:
    """The network ready to predict, batch normalisation folded into the convolutions.

    Args:
        path: the file.

    Raises:
        Refused: the file is damaged, or does not hold the weights of this network.
    """
    return ready(filled(KindNet(), path))


def usual_colours(image: np.ndarray) -> np.ndarray:
    """The picture in the colours that the network knows best, uint8 (H, W, 3).

    Args:
        image: uint8 (H, W, 3), RGB; where it holds hardly any tissue it stays as it is.
    """
    own = style_of(image)
    return image if own is None else restyle(image, own, USUAL, 1.0)
