"""The decoder: object queries look at the picture and at the prompt, layer by layer.

SEEM's decoder reduced to what a text prompt uses. Each layer is masked cross-attention to one map
of the pyramid, self-attention over [queries; prompt tokens], and a feed-forward layer.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segmenters.biomedparse.attention import Attention, embedding, sine_positions
from segmenters.biomedparse.config import Sizes
from segmenters.biomedparse.text import LanguageEncoder

LEVELS = 3


@dataclasses.dataclass(frozen=True)
class Memory:
    """One encoded picture, as the decoder reads it.

    Attributes:
        mask_features: (1, C, H / 4, W / 4), dotted with a query's mask embedding gives its mask.
        levels: (1, C, h, w) at strides 32, 16 and 8.
        level_features: the mask features at the sizes of `levels`. Bilinear resizing commutes
            with the dot product, so the attention masks are read off here without building a
            full-size mask at each layer.
    """

    mask_features: Tensor
    levels: list[Tensor]
    level_features: list[Tensor]

    @classmethod
    def of(cls, mask_features: Tensor, levels: list[Tensor]) -> Memory:
        """Memory of the pixel decoder's output."""
        resized = [
            F.interpolate(mask_features, level.shape[-2:], mode="bilinear", align_corners=False)
            for level in levels
        ]
        return cls(mask_features, levels, resized)


class CrossAttention(nn.Module):
    """Queries attend to one map of the pyramid."""

    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.multihead_attn = Attention(dim, heads)
        self.norm = nn.LayerNorm(dim)

    def forward(
        self, x: Tensor, query_positions: Tensor, memory: Tensor, positions: Tensor, mask: Tensor
    ) -> Tensor:
        """Attend.

        The prompts of a picture share its keys and values: their queries are laid side by side,
        so that both are projected once however many prompts there are.

        Args:
            x: (n, Q, C), n prompts.
            query_positions: (Q, C).
            memory: (1, S, C).
            positions: (1, S, C).
            mask: bool (n, Q, S), True attends.

        Returns:
            (n, Q, C).
        """
        prompts, queries, _ = x.shape
        projected = self.multihead_attn.project_memory(memory + positions, memory)
        side_by_side = (x + query_positions).flatten(0, 1)[None]
        attended = self.multihead_attn.attend(
            side_by_side, projected, mask.flatten(0, 1)[None, None]
        )
        return self.norm(x + attended[0].unflatten(0, (prompts, queries)))


class SelfAttention(nn.Module):
    """Queries and prompt tokens attend to each other."""

    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.self_attn = Attention(dim, heads)
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor, positions: Tensor, mask: Tensor) -> Tensor:
        """Take x and positions (n, Q + T, C); mask bool (n, 1, 1, Q + T), False for padding."""
        placed = x + positions
        return self.norm(x + self.self_attn(placed, placed, x, mask))


class FeedForward(nn.Module):
    """Two linear layers with ReLU, added and normed."""

    def __init__(self, dim: int, ff_dim: int):
        super().__init__()
        self.linear1 = nn.Linear(dim, ff_dim)
        self.linear2 = nn.Linear(ff_dim, dim)
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor) -> Tensor:
        """Shapes stay, (n, T, C)."""
        return self.norm(x + self.linear2(F.relu(self.linear1(x))))


class MaskEmbedding(nn.Module):
    """Three linear layers from a query to the vector that is dotted with the mask features."""

    def __init__(self, dim: int, mask_dim: int):
        super().__init__()
        self.layers = nn.ModuleList(
            (nn.Linear(dim, dim), nn.Linear(dim, dim), nn.Linear(dim, mask_dim))
        )

    def forward(self, x: Tensor) -> Tensor:
        """(..., C) -> (..., mask_dim)."""
        first, second, last = self.layers
        return last(F.relu(second(F.relu(first(x)))))


class Decoder(nn.Module):
    """Object queries to one mask embedding and one caption embedding each."""

    def __init__(self, sizes: Sizes):
        super().__init__()
        dim, heads, layers = sizes.hidden_dim, sizes.heads, range(sizes.decoder_layers)
        self.lang_encoder = LanguageEncoder(sizes)
        self.transformer_cross_attention_layers = nn.ModuleList(
            CrossAttention(dim, heads) for _ in layers
        )
        self.transformer_self_attention_layers = nn.ModuleList(
            SelfAttention(dim, heads) for _ in layers
        )
        self.transformer_ffn_layers = nn.ModuleList(FeedForward(dim, sizes.ff_dim) for _ in layers)
        self.decoder_norm = nn.LayerNorm(dim)
        self.query_feat = embedding(sizes.queries, dim)
        self.query_embed = embedding(sizes.queries, dim)
        self.level_embed = embedding(LEVELS, dim)
        self.mask_embed = MaskEmbedding(dim, sizes.mask_dim)
        self.class_embed = nn.Parameter(torch.empty(dim, sizes.proj_dim))

    def forward(self, memory: Memory, tokens: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        """Decode each prompt by itself, all as rows of one batch.

        Args:
            memory: one picture.
            tokens: (n, T, C) prompt tokens, start and end included, padded to the longest.
            real: bool (n, T), False for padding.

        Returns:
            Caption embeddings (n, Q, proj_dim) and mask embeddings (n, Q, mask_dim).
        """
        levels = [
            level.flatten(2).transpose(1, 2) + self.level_embed.weight[i]
            for i, level in enumerate(memory.levels)
        ]
        positions = [
            sine_positions(*level.shape[-2:], level.shape[1], level.device)
            for level in memory.levels
        ]
        count = self.query_feat.num_embeddings
        prompts = len(tokens)
        queries = self.query_feat.weight.expand(prompts, -1, -1)
        query_positions = self.query_embed.weight
        # A prompt token's position is the token as the text encoder gave it, at every layer.
        places = torch.cat((query_positions.expand(prompts, -1, -1), tokens), dim=1)
        keys = F.pad(real, (count, 0), value=True)[:, None, None]
        for i, (cross, own, feed_forward) in enumerate(
            zip(
                self.transformer_cross_attention_layers,
                self.transformer_self_attention_layers,
                self.transformer_ffn_layers,
                strict=True,
            )
        ):
            level = i % LEVELS
            mask = self._attention_mask(queries, memory.level_features[level])
            queries = cross(queries, query_positions, levels[level], positions[level], mask)
            both = torch.cat((queries, tokens), dim=1)
            both = feed_forward(own(both, places, keys))
            queries, tokens = both[:, :count], both[:, count:]
        normed = self.decoder_norm(queries)
        return normed @ self.class_embed, self.mask_embed(normed)

    def _attention_mask(self, queries: Tensor, features: Tensor) -> Tensor:
        """Where each query may look next: inside the mask it predicts now.

        Args:
            queries: (n, Q, C).
            features: (1, mask_dim, h, w).

        Returns:
            bool (n, Q, h * w); a query whose mask is empty may look everywhere.
        """
        embedded = self.mask_embed(self.decoder_norm(queries))
        inside = embedded @ features[0].flatten(1) >= 0
        return inside | ~inside.any(dim=-1, keepdim=True)
