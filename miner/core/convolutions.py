"""The convolutions of the small networks that ship, made ready to predict on a CPU.

Under autocast torch casts the kernels in every call, and reads and writes all maps once more for
each activation. Here kernels are cast once and lie in memory as the maps do, and the activation is
a part of the convolution: a third less time. Kernels that oneDNN has laid out beforehand would save
3 % more, but how it wants them depends on the size of the picture, and a wrong guess costs 40 times
the convolution.
"""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from miner.core.bfloat16 import NATIVE

Net = TypeVar("Net", bound=nn.Module)

# oneDNN's name, numbers and algorithm of an activation.
_ACTIVATIONS: dict[type[nn.Module], tuple[str, list[float], str]] = {
    nn.Identity: ("none", [], ""),
    nn.ReLU: ("relu", [], ""),
    nn.ReLU6: ("hardtanh", [0.0, 6.0], ""),
}


class Activated(nn.Conv2d):
    """A convolution with fixed weights, and the activation behind it.

    It takes and returns bfloat16 where the CPU multiplies in it, float32 elsewhere.
    """

    def __init__(self, convolution: nn.Conv2d, activation: nn.Module) -> None:
        """Take over the weights.

        Args:
            convolution: with padding in pixels and zeros beyond the border; not changed.
            activation: one of `_ACTIVATIONS`.
        """
        super().__init__(
            convolution.in_channels,
            convolution.out_channels,
            convolution.kernel_size,  # type: ignore[arg-type]
            convolution.stride,  # type: ignore[arg-type]
            convolution.padding,  # type: ignore[arg-type]
            groups=convolution.groups,
            device="meta",
        )
        self.weight, self.bias = convolution.weight, convolution.bias
        self._type = torch.bfloat16 if NATIVE else torch.float32
        self._activation = _ACTIVATIONS[type(activation)]
        self._where = list(self.padding), list(self.stride), list(self.dilation), self.groups
        kernel = self.weight.detach().to(self._type)
        self._kernel = kernel.contiguous(memory_format=torch.channels_last)
        self._shift = None if self.bias is None else self.bias.detach().to(self._type)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps after convolution and activation.

        Args:
            maps: float (n, channels, H, W).
        """
        maps = maps.to(self._type, memory_format=torch.channels_last)
        return torch.ops.mkldnn._convolution_pointwise(
            maps, self._kernel, self._shift, *self._where, *self._activation
        )


def ready(model: Net) -> Net:
    """The network ready to predict: convolutions do the normalisations and activations after them.

    Args:
        model: is changed; its sequences of convolution, normalisation and activation become one
            step each. Its weights can be read afterwards, but no longer trained.
    """
    model.eval().requires_grad_(False)
    for block in list(model.modules()):
        if isinstance(block, nn.Sequential):
            _fold(block)
    if torch.backends.mkldnn.is_available():
        for block in list(model.modules()):
            if not isinstance(block, Activated):
                _join(block)
    return model


def _fold(block: nn.Sequential) -> None:
    """Make normalisations a part of the convolutions before them."""
    for i in range(len(block) - 1):
        one, two = block[i], block[i + 1]
        if isinstance(one, nn.Conv2d) and isinstance(two, nn.BatchNorm2d):
            block[i], block[i + 1] = fuse_conv_bn_eval(one, two), nn.Identity()


def _join(block: nn.Module) -> None:
    """Join the convolutions that are direct children with the activations behind them."""
    steps = list(block.named_children())
    for i, (name, step) in enumerate(steps):
        if not isinstance(step, nn.Conv2d) or isinstance(step, Activated):
            continue
        behind = steps[i + 1 :] if isinstance(block, nn.Sequential) else []
        place, activation = next(
            (pair for pair in behind if not isinstance(pair[1], nn.Identity)), ("", nn.Identity())
        )
        if type(activation) not in _ACTIVATIONS:
            place, activation = "", nn.Identity()
        setattr(block, name, Activated(step, activation))
        if place:
            setattr(block, place, nn.Identity())
