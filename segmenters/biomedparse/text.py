"""The text encoder: a CLIP-style causal transformer, and its projection to the shared space."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from segmenters.biomedparse.attention import Attention, embedding
from segmenters.biomedparse.config import Sizes

LAYER_NORM_EPS = 1e-12


class QuickGelu(nn.Module):
    """CLIP's approximation of GELU, x * sigmoid(1.702 x)."""

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        return x * torch.sigmoid(1.702 * x)


class TextBlock(nn.Module):
    """Causal self-attention and MLP, each normed before it ("pre-norm")."""

    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.attn = Attention(dim, heads)
        self.ln_1 = nn.LayerNorm(dim, eps=LAYER_NORM_EPS)
        self.mlp = nn.Sequential()
        self.mlp.add_module("c_fc", nn.Linear(dim, 4 * dim))
        self.mlp.add_module("gelu", QuickGelu())
        self.mlp.add_module("c_proj", nn.Linear(4 * dim, dim))
        self.ln_2 = nn.LayerNorm(dim, eps=LAYER_NORM_EPS)

    def forward(self, x: Tensor) -> Tensor:
        """Shapes stay, (n, T, C)."""
        normed = self.ln_1(x)
        x = x + self.attn(normed, normed, normed, causal=True)
        return x + self.mlp(self.ln_2(x))


class TextTransformer(nn.Module):
    """Token and position embeddings, and the blocks."""

    def __init__(self, sizes: Sizes):
        super().__init__()
        width = sizes.text_width
        self.token_embedding = embedding(sizes.vocabulary, width)
        self.positional_embedding = nn.Parameter(torch.empty(sizes.context, width))
        self.resblocks = nn.ModuleList(
            TextBlock(width, sizes.text_heads) for _ in range(sizes.text_layers)
        )
        self.ln_final = nn.LayerNorm(width, eps=LAYER_NORM_EPS)

    def forward(self, ids: Tensor) -> Tensor:
        """Token ids int64 (n, T) to (n, T, C)."""
        x = self.token_embedding(ids) + self.positional_embedding[: ids.shape[1]]
        for block in self.resblocks:
            x = block(x)
        return self.ln_final(x)


class LanguageEncoder(nn.Module):
    """Text transformer, projection, and the scale of similarities."""

    def __init__(self, sizes: Sizes):
        super().__init__()
        self.lang_encoder = TextTransformer(sizes)
        self.lang_proj = nn.Parameter(torch.empty(sizes.text_width, sizes.proj_dim))
        self.logit_scale = nn.Parameter(torch.empty(()))

    def forward(self, ids: Tensor) -> Tensor:
        """Embed every token.

        Args:
            ids: int64 (n, T), start and end tokens included. The attention is causal, so what
                follows the end token changes nothing before it.

        Returns:
            float (n, T, proj_dim). The embedding at the end token stands for the whole prompt.
        """
        return self.lang_encoder(ids) @ self.lang_proj

    def similarity(self, queries: Tensor, prompts: Tensor) -> Tensor:
        """Scaled cosine similarity of query embeddings (..., Q, C) and prompts (..., P, C)."""
        queries = queries / (queries.norm(dim=-1, keepdim=True) + 1e-7)
        prompts = prompts / (prompts.norm(dim=-1, keepdim=True) + 1e-7)
        return self.logit_scale.exp().clamp(max=100) * queries @ prompts.transpose(-1, -2)
