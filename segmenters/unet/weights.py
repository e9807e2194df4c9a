"""The shipped weights: kernels in half precision in the file, single precision in memory."""

from __future__ import annotations

import os
import pathlib
from typing import TypeVar

import torch
from torch import nn

from miner.core.convolutions import ready
from miner.core.errors import Refused
from miner.core.tensors import read_tensors
from segmenters.unet.model import Unet
from segmenters.unet.outputs import HEADS

FOLDER = pathlib.Path(__file__).parent / "weights"
Net = TypeVar("Net", bound=nn.Module)


def save(model: nn.Module, path: pathlib.Path) -> None:
    """Write a network's weights atomically: kernels as float16.

    What there is one of per channel stays float32: variances can be beyond what float16 holds.
    """
    state = {
        name: value.half() if value.dtype.is_floating_point and value.dim() > 1 else value
        for name, value in model.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    partial = path.with_suffix(".tmp")
    torch.save(state, partial)
    os.replace(partial, path)


def load(net: str, path: pathlib.Path | None = None) -> Unet:
    """A network ready to predict, batch normalisation folded into the convolutions.

    Args:
        net: one of `HEADS`.
        path: the file, the shipped one when None.

    Raises:
        Refused: the file is damaged, or does not hold the weights of this network.
    """
    return ready(filled(Unet(HEADS[net].outputs, HEADS[net].widths), path or FOLDER / f"{net}.pt"))


def filled(model: Net, path: pathlib.Path) -> Net:
    """The network with the weights of a file, single precision.

    Raises:
        Refused: the file is damaged, or does not hold the weights of this network.
    """
    state = read_tensors(path)
    try:
        missing = model.load_state_dict({k: v.float() for k, v in state.items()}, strict=False)
    except (AttributeError, RuntimeError):
        raise Refused(f"{path}: not the weights of this network, or damaged") from None
    lost = [k for k in missing.missing_keys if not k.endswith("num_batches_tracked")]
    if lost or missing.unexpected_keys:
        odd = ", ".join([*lost, *missing.unexpected_keys][:3])
        raise Refused(f"{path}: not the weights of this network: {odd}")
    return model
