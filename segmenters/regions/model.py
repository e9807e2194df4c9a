"""The network: the encoder of EfficientNet-Lite0 and a light decoder."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

# Per stage: side of the kernel, stride, how much wider inside, channels in and out, blocks. The
# last stage and the classifier of the published network are left out.
STAGES = (
    (3, 1, 1, 32, 16, 1),
    (3, 2, 6, 16, 24, 2),
    (5, 2, 6, 24, 40, 2),
    (3, 2, 6, 40, 80, 3),
    (5, 1, 6, 80, 112, 3),
    (5, 2, 6, 112, 192, 4),
)
# Stages after which the size halves: what the decoder reads, and its channels from coarse to fine.
_READ = (0, 1, 2, 4)
_DECODER = (96, 64, 48, 32)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


def same_pad(pixels: torch.Tensor, side: int, stride: int) -> torch.Tensor:
    """Pad as TensorFlow does, with which the encoder was trained: more behind than before.

    Args:
        pixels: float (n, c, H, W), H and W multiples of `stride`.
        side: of the kernel.
        stride: of the convolution, 2.
    """
    before = (side - stride) // 2
    after = side - stride - before
    return functional.pad(pixels, (before, after, before, after))


class Block(nn.Module):
    """An inverted residual: widen, filter every channel, narrow."""

    def __init__(self, side: int, stride: int, expand: int, inputs: int, outputs: int) -> None:
        """Lay out the layers.

        Args:
            side: of the kernel.
            stride: 1 or 2.
            expand: how much wider it is inside.
            inputs: channels.
            outputs: channels.
        """
        super().__init__()
        wide = inputs * expand
        self.side, self.stride = side, stride
        self.residual = stride == 1 and inputs == outputs
        first = (nn.Conv2d(inputs, wide, 1, bias=False), _norm(wide), nn.ReLU6())
        self.expand = nn.Sequential(*first) if expand > 1 else None
        padding = side // 2 if stride == 1 else 0
        self.filter = nn.Sequential(
            nn.Conv2d(wide, wide, side, stride, padding, groups=wide, bias=False),
            _norm(wide),
            nn.ReLU6(),
        )
        self.project = nn.Sequential(nn.Conv2d(wide, outputs, 1, bias=False), _norm(outputs))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Maps of the block, float (n, outputs, H / stride, W / stride)."""
        wide = pixels if self.expand is None else self.expand(pixels)
        if self.stride == 2:
            wide = same_pad(wide, self.side, 2)
        found = self.project(self.filter(wide))
        return found + pixels if self.residual else found


class Encoder(nn.Module):
    """The published network up to 1/32 of the size, or less of it."""

    def __init__(self, stages: int = len(STAGES)) -> None:
        """Lay out the layers.

        Args:
            stages: of `STAGES`, how many.
        """
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 32, 3, 2, 0, bias=False), _norm(32), nn.ReLU6())
        self.stages = nn.ModuleList(
            nn.Sequential(
                *(
                    Block(side, stride if i == 0 else 1, expand, inputs if i == 0 else out, out)
                    for i in range(blocks)
                )
            )
            for side, stride, expand, inputs, out, blocks in STAGES[:stages]
        )

    def forward(self, pixels: torch.Tensor) -> list[torch.Tensor]:
        """Maps after every stage.

        Args:
            pixels: float32 (n, 3, H, W), RGB, 0..1; H and W multiples of 32.
        """
        wide = same_pad((pixels * 255 - 127) / 128, 3, 2)
        maps = [self.stem(wide)]
        for stage in self.stages:
            maps.append(stage(maps[-1]))
        return maps[1:]


class RegionNet(nn.Module):
    """Encoder, decoder and a linear head; logits at the resolution of the input."""

    stride = 32

    def __init__(self, outputs: int) -> None:
        """Lay out the layers.

        Args:
            outputs: number of maps.
        """
        super().__init__()
        self.encoder = Encoder()
        channels = [STAGES[i][4] for i in _READ][::-1]
        up, deep = [], STAGES[-1][4]
        for fine, out in zip(channels, _DECODER, strict=True):
            convolution = nn.Conv2d(deep + fine, out, 3, padding=1, bias=False)
            up.append(nn.Sequential(convolution, nn.BatchNorm2d(out), nn.ReLU(inplace=True)))
            deep = out
        self.up = nn.ModuleList(up)
        self.head = nn.Conv2d(deep, 4 * outputs, 1)

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
        maps = self.encoder(pixels)
        deep = maps[-1]
        for level, i in zip(self.up, _READ[::-1], strict=True):
            deep = level(torch.cat([functional.interpolate(deep, scale_factor=2), maps[i]], dim=1))
        return self.head(deep)
