"""The network: a U-Net on 2x2 blocks of pixels."""

from __future__ import annotations

import itertools

import torch
from torch import nn
from torch.nn import functional


def _convolution(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def _block(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(_convolution(inputs, outputs), _convolution(outputs, outputs))


class Unet(nn.Module):
    """Encoder, decoder and a linear head; logits at the resolution of the input.

    Pixels go in as 2x2 blocks (12 channels) and come out by pixel shuffle: no layer runs at full
    resolution, which is where a plain U-Net spends most of its time on a CPU.
    """

    def __init__(self, outputs: int, widths: tuple[int, ...] = (16, 48, 96, 128)) -> None:
        """Lay out the layers.

        Args:
            outputs: number of maps.
            widths: channels per level, finest first.
        """
        super().__init__()
        # Every side of the input must be a multiple of this: 2x2 blocks, then the halvings.
        self.stride = 2 ** len(widths)
        self.stem = _block(12, widths[0])
        self.down = nn.ModuleList(_block(a, b) for a, b in itertools.pairwise(widths))
        back = widths[::-1]
        self.up = nn.ModuleList(_block(a + b, b) for a, b in itertools.pairwise(back))
        self.head = nn.Conv2d(widths[0], 4 * outputs, 1)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Logits.

        Args:
            pixels: float32 (n, 3, H, W), RGB, 0..1; H and W multiples of `stride`.

        Returns:
            float32 (n, outputs, H, W).
        """
        return functional.pixel_shuffle(self.blocks(pixels), 2)

    def blocks(self, pixels: torch.Tensor) -> torch.Tensor:
        """The same as the network leaves them: (n, 4 * outputs, H / 2, W / 2), block by block."""
        maps = [self.stem(functional.pixel_unshuffle(pixels * 4 - 2.5, 2))]
        for level in self.down:
            maps.append(level(functional.max_pool2d(maps[-1], 2)))
        deep = maps.pop()
        for level in self.up:
            fine = maps.pop()
            deep = level(torch.cat([functional.interpolate(deep, scale_factor=2), fine], dim=1))
        return self.head(deep)
