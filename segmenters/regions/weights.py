"""The shipped weights of the network of regions."""

from __future__ import annotations

import pathlib

from miner.core.convolutions import ready
from segmenters.regions.model import RegionNet
from segmenters.regions.outputs import RegionHead
from segmenters.unet.weights import FOLDER, filled, save

FILE = FOLDER / "regions.pt"

__all__ = ["FILE", "load", "save"]


def load(path: pathlib.Path = FILE) -> RegionNet:
    """The network ready to predict, batch normalisation folded into the convolutions.

    Args:
        path: the file.

    Raises:
        Refused: the file is damaged, or does not hold the weights of this network.
    """
    return ready(filled(RegionNet(RegionHead.outputs), path))
