"""The image encoder: FocalNet (Yang et al., Focal Modulation Networks, NeurIPS 2022).

FocalNet-L as BiomedParse uses it: overlapping convolutional patch embedding, norms after each
branch ("post-LN") with layer scale, a modulator divided by the number of focal levels, and output
norms on the maps before each downsampling. The tensors are named as in the released checkpoint.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segmenters.biomedparse.config import Sizes


class PatchEmbedding(nn.Module):
    """Strided convolution and norm: (B, C, H, W) -> (B, H / stride, W / stride, C')."""

    def __init__(self, channels: int, out_channels: int, kernel: int, stride: int, padding: int):
        super().__init__()
        self.proj = nn.Conv2d(channels, out_channels, kernel, stride, padding)
        self.norm = nn.LayerNorm(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Embed patches; the result has its channels last."""
        return self.norm(self.proj(x).permute(0, 2, 3, 1))


class FocalModulation(nn.Module):
    """Gathers context at growing ranges, gates it per place, and modulates the query with it."""

    def __init__(self, dim: int, levels: int, window: int):
        super().__init__()
        self.levels = levels
        self.f = nn.Linear(dim, 2 * dim + levels + 1)
        self.h = nn.Conv2d(dim, dim, 1)
        self.proj = nn.Linear(dim, dim)
        self.focal_layers = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(dim, dim, kernel, padding=kernel // 2, groups=dim, bias=False),
                nn.GELU(),
            )
            for kernel in range(window, window + 2 * levels, 2)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Modulate a map with channels last, (B, H, W, C)."""
        dim = x.shape[-1]
        projected = self.f(x).permute(0, 3, 1, 2)
        query, context, gates = projected.split((dim, dim, self.levels + 1), dim=1)
        context, gates = context.contiguous(), gates.contiguous()
        total = torch.zeros_like(context)
        for level, layer in enumerate(self.focal_layers):
            context = layer(context)
            total.addcmul_(context, gates[:, level : level + 1])
        whole = F.gelu(context.mean(dim=(2, 3), keepdim=True))
        total.addcmul_(whole, gates[:, self.levels :])
        modulator = self.h(total.div_(self.levels + 1))
        return self.proj((query * modulator).permute(0, 2, 3, 1))


class Mlp(nn.Module):
    """Two linear layers with GELU between them."""

    def __init__(self, dim: int, hidden: int):
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Shapes stay, (..., C)."""
        return self.fc2(F.gelu(self.fc1(x)))


class FocalBlock(nn.Module):
    """Focal modulation and MLP, each normed, scaled and added to its input."""

    def __init__(self, dim: int, levels: int, window: int, mlp_ratio: float):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.modulation = FocalModulation(dim, levels, window)
        self.gamma_1 = nn.Parameter(torch.empty(dim))
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = Mlp(dim, int(dim * mlp_ratio))
        self.gamma_2 = nn.Parameter(torch.empty(dim))

    def forward(self, x: Tensor) -> Tensor:
        """Shapes stay, (B, H, W, C)."""
        x = torch.addcmul(x, self.gamma_1, self.norm1(self.modulation(x)))
        return torch.addcmul(x, self.gamma_2, self.norm2(self.mlp(x)))


class FocalStage(nn.Module):
    """Blocks at one stride, then the downsampling to the next one (not in the last stage)."""

    def __init__(self, dim: int, depth: int, levels: int, window: int, ratio: float, last: bool):
        super().__init__()
        self.blocks = nn.ModuleList(FocalBlock(dim, levels, window, ratio) for _ in range(depth))
        self.downsample = None if last else PatchEmbedding(dim, 2 * dim, 3, 2, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The map at this stride, and the input of the next stage; (B, H, W, C) both."""
        for block in self.blocks:
            x = block(x)
        return x, x if self.downsample is None else self.downsample(x.permute(0, 3, 1, 2))


class FocalNet(nn.Module):
    """The backbone: a picture to four maps, res2 to res5."""

    def __init__(self, sizes: Sizes):
        super().__init__()
        self.patch_embed = PatchEmbedding(3, sizes.embed_dim, 7, 4, 2)
        last = len(sizes.depths) - 1
        self.layers = nn.ModuleList(
            FocalStage(
                sizes.channels[i],
                sizes.depths[i],
                sizes.focal_levels[i],
                sizes.focal_windows[i],
                sizes.mlp_ratio,
                last=i == last,
            )
            for i in range(last + 1)
        )
        for i, dim in enumerate(sizes.channels):
            self.add_module(f"norm{i}", nn.LayerNorm(dim))

    def forward(self, image: Tensor) -> list[Tensor]:
        """Encode a normalised picture.

        Args:
            image: float (B, 3, H, W), sides multiples of 32.

        Returns:
            Maps (B, C, H / s, W / s) for s = 4, 8, 16, 32, each normed before its downsampling.
        """
        maps = []
        x = self.patch_embed(image)
        for i, stage in enumerate(self.layers):
            here, x = stage(x)
            maps.append(self.get_submodule(f"norm{i}")(here).permute(0, 3, 1, 2).contiguous())
        return maps
