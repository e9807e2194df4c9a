"""The pixel decoder: a transformer on the coarsest map, then a feature pyramid.

As in Mask2Former's transformer-FPN variant, which X-Decoder, SEEM and BiomedParse use.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from segmenters.biomedparse.attention import Attention, sine_positions
from segmenters.biomedparse.config import Sizes


class NormedConv(nn.Conv2d):
    """Convolution without bias, group norm (32 groups), and ReLU where asked for."""

    def __init__(self, channels: int, out_channels: int, kernel: int, relu: bool):
        super().__init__(channels, out_channels, kernel, padding=kernel // 2, bias=False)
        self.norm = nn.GroupNorm(32, out_channels)
        self.relu = relu

    def forward(self, input: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H, W)."""
        x = self.norm(super().forward(input))
        return F.relu(x, inplace=True) if self.relu else x


class EncoderLayer(nn.Module):
    """Self-attention and ReLU feed-forward, each normed after its sum ("post-norm")."""

    def __init__(self, dim: int, heads: int, ff_dim: int):
        super().__init__()
        self.self_attn = Attention(dim, heads)
        self.linear1 = nn.Linear(dim, ff_dim)
        self.linear2 = nn.Linear(ff_dim, dim)
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)

    def forward(self, x: Tensor, positions: Tensor) -> Tensor:
        """Positions are added to queries and keys, not to values; (B, H * W, C)."""
        placed = x + positions
        x = self.norm1(x + self.self_attn(placed, placed, x))
        return self.norm2(x + self.linear2(F.relu(self.linear1(x))))


class Encoder(nn.Module):
    """A stack of encoder layers."""

    def __init__(self, sizes: Sizes):
        super().__init__()
        self.layers = nn.ModuleList(
            EncoderLayer(sizes.hidden_dim, sizes.heads, sizes.encoder_ff_dim)
            for _ in range(sizes.encoder_layers)
        )

    def forward(self, x: Tensor, positions: Tensor) -> Tensor:
        """(B, H * W, C) both, and so is the result."""
        for layer in self.layers:
            x = layer(x, positions)
        return x


class PixelDecoder(nn.Module):
    """Four backbone maps to per-pixel mask features and three memories for the decoder."""

    def __init__(self, sizes: Sizes):
        super().__init__()
        dim = sizes.hidden_dim
        self.levels = len(sizes.channels)
        self.input_proj = nn.Conv2d(sizes.channels[-1], dim, 1)
        self.transformer = nn.ModuleDict({"encoder": Encoder(sizes)})
        for i, channels in enumerate(sizes.channels[:-1], start=1):
            self.add_module(f"adapter_{i}", NormedConv(channels, dim, 1, relu=False))
        for i in range(1, self.levels + 1):
            self.add_module(f"layer_{i}", NormedConv(dim, dim, 3, relu=True))
        self.mask_features = nn.Conv2d(dim, sizes.mask_dim, 3, padding=1)

    def forward(self, maps: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Decode the backbone's maps.

        Args:
            maps: res2 to res5, (B, C_i, H_i, W_i), finest first.

        Returns:
            Mask features (B, mask_dim, H / 4, W / 4), and the maps (B, hidden_dim, h, w) at
            strides 32, 16 and 8, coarsest first.
        """
        x = self.input_proj(maps[-1])
        height, width = x.shape[-2:]
        positions = sine_positions(height, width, x.shape[1], x.device)
        x = self.transformer["encoder"](x.flatten(2).transpose(1, 2), positions)
        x = x.transpose(1, 2).unflatten(2, (height, width))
        x = self.get_submodule(f"layer_{self.levels}")(x)
        pyramid = [x]
        for i in range(self.levels - 1, 0, -1):
            lateral = self.get_submodule(f"adapter_{i}")(maps[i - 1])
            upsampled = F.interpolate(x, size=lateral.shape[-2:], mode="nearest")
            x = self.get_submodule(f"layer_{i}")(lateral.add_(upsampled))
            pyramid.append(x)
        return self.mask_features(x), pyramid[:3]
