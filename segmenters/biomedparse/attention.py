"""Multi-head attention and sine positions, shared by pixel decoder, text encoder and decoder."""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Attention(nn.Module):
    """Multi-head attention whose tensors are named like those of `nn.MultiheadAttention`.

    Batch first. `project_memory` is apart from `attend`, so that keys and values of one picture
    are computed once for all prompts.
    """

    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * dim, dim))
        self.in_proj_bias = nn.Parameter(torch.empty(3 * dim))
        self.out_proj = nn.Linear(dim, dim)

    def _project(self, x: Tensor, part: int) -> Tensor:
        """(B, T, C) -> (B, heads, T, C / heads); part 0 query, 1 key, 2 value."""
        weight = self.in_proj_weight.chunk(3)[part]
        bias = self.in_proj_bias.chunk(3)[part]
        return F.linear(x, weight, bias).unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def project_memory(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values (B, heads, S, C / heads) of a memory (B, S, C)."""
        return self._project(key, 1), self._project(value, 2)

    def attend(
        self,
        query: Tensor,
        memory: tuple[Tensor, Tensor],
        mask: Tensor | None = None,
        causal: bool = False,
    ) -> Tensor:
        """Attend to a projected memory.

        Args:
            query: (B, T, C).
            memory: what `project_memory` returned.
            mask: bool, broadcastable to (B, heads, T, S); True attends.
            causal: each position attends to itself and what is before it.

        Returns:
            (B, T, C).
        """
        heads = F.scaled_dot_product_attention(
            self._project(query, 0), *memory, attn_mask=mask, is_causal=causal
        )
        return self.out_proj(heads.transpose(1, 2).flatten(2))

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        mask: Tensor | None = None,
        causal: bool = False,
    ) -> Tensor:
        """Attend to an unprojected memory; shapes as in `attend`."""
        return self.attend(query, self.project_memory(key, value), mask, causal)


def embedding(count: int, dim: int) -> nn.Embedding:
    """Embedding table (count, dim) without initial values; a checkpoint gives them.

    The usual constructor draws them, which on the meta device costs seconds of imports.
    """
    return nn.Embedding.from_pretrained(torch.empty(count, dim))


@functools.lru_cache(maxsize=16)
def sine_positions(height: int, width: int, dim: int, device: torch.device) -> Tensor:
    """Sine position encoding of a map, normalised to 0..2 pi, rows in the first half.

    Returns:
        float32 (1, height * width, dim).
    """
    half, eps, scale = dim // 2, 1e-6, 2 * math.pi
    channel = torch.arange(half, device=device, dtype=torch.float32)
    period = 10000 ** (2 * torch.div(channel, 2, rounding_mode="floor") / half)

    def encode(size: int) -> Tensor:
        place = torch.arange(1, size + 1, device=device, dtype=torch.float32)
        phase = (place / (size + eps) * scale)[:, None] / period
        return torch.stack((phase[:, 0::2].sin(), phase[:, 1::2].cos()), dim=2).flatten(1)

    rows = encode(height)[:, None].expand(height, width, half)
    columns = encode(width)[None].expand(height, width, half)
    return torch.cat((rows, columns), dim=2).flatten(0, 1)[None]
