"""The shipped weights of the network of regions."""

from __future__ import annotations

import pathlib

import torch

from segmenters.regions.model import RegionNet
from segmenters.regions.outputs import RegionHead
from segmenters.unet.weights import FOLDER, fold, save

FILE = FOLDER / "regions.pt"

__all__ = ["FILE", "load", "save"]


def load(path: pathlib.Path = FILE) -> RegionNet:
    """The network ready to predict, batch normalisation folded into the convolutions.

    Args:
        path: the file.

    Raises:
        ValueError: the file does not hold the weights of this network.
    """
    model = RegionNet(RegionHead.outputs)
    state = torch.load(path, map_location="cpu", weights_only=True)
    missing = model.load_state_dict({k: v.float() for k, v in state.items()}, strict=False)
    lost = [k for k in missing.missing_keys if not k.endswith("num_batches_tracked")]
    if lost or missing.unexpected_keys:
        raise ValueError(f"{path}: not the weights of this network: {lost[:3]}")
    return fold(model)
