"""Forward passes of checkpoints that transformers has no class for.

CONCH (Lu et al. 2024, a CoCa with an attentional pooler) and BiomedCLIP (Zhang et al. 2023, a timm
ViT beside PubMedBERT) keep the parameter names of their checkpoints here, so a conversion is a
renaming of files. Written from the published layouts; no code of theirs is used. What only the
caption decoder of CONCH needs is left out.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import Tensor, nn


@dataclasses.dataclass(frozen=True)
class TrunkShape:
    """Sizes of a timm ViT."""

    width: int
    layers: int
    heads: int
    patch_px: int
    side_px: int
    mlp: int


class _Mlp(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(nn.functional.gelu(self.fc1(x)))


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def split(self, x: Tensor) -> Tensor:
        """Queries, keys and values, float (3, n, heads, tokens, width / heads)."""
        n, tokens, width = x.shape
        parts = self.qkv(x).view(n, tokens, 3, self.heads, width // self.heads)
        return parts.permute(2, 0, 3, 1, 4)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.split(x)
        mixed = nn.functional.scaled_dot_product_attention(q, k, v)
        return self.proj(mixed.transpose(1, 2).flatten(2))

    def values(self, x: Tensor) -> Tensor:
        """What every token passes on, without mixing between tokens."""
        return self.proj(self.split(x)[2].transpose(1, 2).flatten(2))


class _Block(nn.Module):
    def __init__(self, width: int, heads: int, mlp: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        self.attn, self.mlp = _Attention(width, heads), _Mlp(width, mlp)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))

    def local(self, x: Tensor) -> Tensor:
        """The block without mixing between tokens."""
        x = x + self.attn.values(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class _PatchEmbed(nn.Module):
    def __init__(self, width: int, patch_px: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, patch_px, stride=patch_px)


class Trunk(nn.Module):
    """timm's VisionTransformer with a class token, up to the final norm."""

    def __init__(self, shape: TrunkShape) -> None:
        super().__init__()
        width, tokens = shape.width, (shape.side_px // shape.patch_px) ** 2
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + tokens, width))
        self.patch_embed = _PatchEmbed(width, shape.patch_px)
        self.blocks = nn.ModuleList(
            _Block(width, shape.heads, shape.mlp) for _ in range(shape.layers)
        )
        self.norm = nn.LayerNorm(width, eps=1e-6)

    def forward(self, pixels: Tensor, local: bool = False) -> Tensor:
        """Tokens after the norm, float (n, 1 + rows * columns, width).

        Args:
            pixels: float (n, 3, H, W); positions are interpolated where the size is another.
            local: leave out the mixing of the last block, so that tokens keep their place.
        """
        patches = self.patch_embed.proj(pixels)
        rows, columns = patches.shape[2:]
        x = torch.cat([self.cls_token.expand(len(pixels), -1, -1), patches.flatten(2).mT], dim=1)
        x = x + self._positions(rows, columns)
        for block in self.blocks[:-1]:
            x = block(x)
        last: Any = self.blocks[-1]
        return self.norm(last.local(x) if local else last(x))

    def _positions(self, rows: int, columns: int) -> Tensor:
        side = round((self.pos_embed.shape[1] - 1) ** 0.5)
        if (rows, columns) == (side, side):
            return self.pos_embed
        grid = self.pos_embed[:, 1:].mT.unflatten(2, (side, side))
        grid = nn.functional.interpolate(grid, (rows, columns), mode="bicubic")
        return torch.cat([self.pos_embed[:, :1], grid.flatten(2).mT], dim=1)


class Pooler(nn.Module):
    """One learned query that attends to the tokens."""

    def __init__(self, width: int, context: int, heads: int, queries: int) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.zeros(queries, width))
        self.attn = nn.MultiheadAttention(
            width, heads, kdim=context, vdim=context, batch_first=True
        )
        self.ln_q, self.ln_k = nn.LayerNorm(width), nn.LayerNorm(context)

    def forward(self, tokens: Tensor, weights: Tensor | None = None) -> Tensor:
        """The first query's answer, float (n, width).

        Args:
            tokens: float (n, t, context).
            weights: float (n, t), how much each token counts; all alike when None.
        """
        keys = self.ln_k(tokens)
        query = self.ln_q(self.query[:1]).expand(len(tokens), -1, -1)
        mask = None
        if weights is not None:
            mask = weights.clamp(min=1e-9).log()[:, None].repeat_interleave(self.attn.num_heads, 0)
        return self.attn(query, keys, keys, need_weights=False, attn_mask=mask)[0][:, 0]


class _TextMlp(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.c_fc, self.c_proj = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)


class _TextBlock(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.mlp = _TextMlp(width)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        y = self.ln_1(x)
        x = x + self.attn(y, y, y, need_weights=False, attn_mask=mask)[0]
        return x + self.mlp.c_proj(nn.functional.gelu(self.mlp.c_fc(self.ln_2(x))))


class _Blocks(nn.Module):
    def __init__(self, width: int, heads: int, layers: int) -> None:
        super().__init__()
        self.resblocks = nn.ModuleList(_TextBlock(width, heads) for _ in range(layers))


class ConchText(nn.Module):
    """Causal text transformer whose class token comes last."""

    def __init__(
        self, vocabulary: int, context: int, width: int, heads: int, layers: int, dim: int
    ) -> None:
        super().__init__()
        self.cls_emb = nn.Parameter(torch.zeros(width))
        self.token_embedding = nn.Embedding(vocabulary, width)
        self.positional_embedding = nn.Parameter(torch.zeros(context, width))
        self.transformer = _Blocks(width, heads, layers)
        self.ln_final = nn.LayerNorm(width)
        self.text_projection = nn.Parameter(torch.zeros(width, dim))
        self.heads = heads

    def forward(self, ids: Tensor, pad: int = 0) -> Tensor:
        """Text features, float (n, dim); ids int (n, context - 1) without the class token."""
        n, length = ids.shape
        x = torch.cat([self.token_embedding(ids), self.cls_emb.expand(n, 1, -1)], dim=1)
        x = x + self.positional_embedding[: length + 1]
        mask = torch.full((length + 1, length + 1), float("-inf"), device=ids.device)
        mask = mask.triu(1).repeat(n, 1, 1)
        # The class token skips padding, but the original's mask is one place off: it sees one
        # padding token, and itself only in a full text. The weights were trained like this.
        seen = nn.functional.pad(ids != pad, (1, 0), value=True)
        mask[:, -1].masked_fill_(~seen, float("-inf"))
        mask = mask.repeat_interleave(self.heads, 0)
        for block in self.transformer.resblocks:
            x = block(x, mask)
        return self.ln_final(x[:, -1]) @ self.text_projection


class ConchVisual(nn.Module):
    """Trunk and contrastive pooler."""

    def __init__(self, shape: TrunkShape, dim: int, pooler_heads: int, queries: int) -> None:
        super().__init__()
        self.trunk = Trunk(shape)
        self.attn_pool_contrast = Pooler(dim, shape.width, pooler_heads, queries)
        self.ln_contrast = nn.LayerNorm(dim)
        self.proj_contrast = nn.Parameter(torch.zeros(dim, dim))

    def pool(self, tokens: Tensor, weights: Tensor | None = None) -> Tensor:
        """Features of tokens, or of the part of them under weights, float (n, dim)."""
        return self.ln_contrast(self.attn_pool_contrast(tokens, weights)) @ self.proj_contrast


class Conch(nn.Module):
    """The contrastive half of CONCH."""

    def __init__(self, visual: ConchVisual, text: ConchText) -> None:
        super().__init__()
        self.visual, self.text = visual, text
        self.logit_scale = nn.Parameter(torch.zeros(()))


class _Head(nn.Module):
    def __init__(self, width: int, dim: int) -> None:
        super().__init__()
        self.proj = nn.Linear(width, dim, bias=False)


class BiomedVisual(nn.Module):
    """Trunk and linear projection of the class token."""

    def __init__(self, shape: TrunkShape, dim: int) -> None:
        super().__init__()
        self.trunk, self.head = Trunk(shape), _Head(shape.width, dim)


class BiomedText(nn.Module):
    """BERT, its class token, and a projection of two layers."""

    def __init__(self, bert: nn.Module, width: int, hidden: int, dim: int) -> None:
        super().__init__()
        self.transformer = bert
        self.proj = nn.Sequential(
            nn.Linear(width, hidden, bias=False), nn.GELU(), nn.Linear(hidden, dim, bias=False)
        )

    def forward(self, ids: Tensor, attention: Tensor) -> Tensor:
        """Text features, float (n, dim)."""
        hidden = self.transformer(input_ids=ids, attention_mask=attention).last_hidden_state
        return self.proj(hidden[:, 0])


class BiomedClip(nn.Module):
    """BiomedCLIP."""

    def __init__(self, visual: BiomedVisual, text: BiomedText) -> None:
        super().__init__()
        self.visual, self.text = visual, text
        self.logit_scale = nn.Parameter(torch.zeros(()))
