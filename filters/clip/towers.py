"""The towers of each class of checkpoint, behind one small interface.

`tokens` gives the features of a picture place by place, `pool` the embedding of a part of them.
CLIP's last block mixes all places into each token; for regions it is run without the mixing (Zhou,
Loy and Dai 2022, "Extract free dense labels from CLIP"). Checkpoints that pool by attention
(SigLIP, CONCH) attend to the tokens of the region only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from torch import Tensor

from filters.clip.openclip import BiomedClip, Conch

Tokenize = Callable[[Sequence[str]], dict[str, Tensor]]


class Towers(Protocol):
    """Text and image towers."""

    patch_px: int
    logit_scale: float

    def texts(self, texts: Sequence[str]) -> Tensor:
        """Features of texts, float (n, d)."""
        ...

    def pictures(self, pixels: Tensor) -> Tensor:
        """Features of pictures float (n, 3, side, side), float (n, d)."""
        ...

    def tokens(self, pixels: Tensor) -> Tensor:
        """Local features of one picture float (1, 3, H, W), float (rows * columns, c)."""
        ...

    def pool(self, tokens: Tensor, weights: Tensor) -> Tensor:
        """Features of regions, float (n, d); weights float (n, rows * columns)."""
        ...


def _mean(tokens: Tensor, weights: Tensor) -> Tensor:
    return weights @ tokens / weights.sum(dim=1, keepdim=True)


class ClipTowers:
    """`transformers.CLIPModel`."""

    def __init__(self, model: Any, tokenize: Tokenize) -> None:
        self._model, self._tokenize = model, tokenize
        self.patch_px = int(model.config.vision_config.patch_size)
        self.logit_scale = float(model.logit_scale.detach().exp())

    def texts(self, texts: Sequence[str]) -> Tensor:
        """Features of texts, float (n, d)."""
        pooled = self._model.text_model(**self._tokenize(texts)).pooler_output
        return self._model.text_projection(pooled)

    def pictures(self, pixels: Tensor) -> Tensor:
        """Features of pictures, float (n, d)."""
        return self._model.visual_projection(self._model.vision_model(pixels).pooler_output)

    def tokens(self, pixels: Tensor) -> Tensor:
        """Local features in the common space, float (rows * columns, d)."""
        vision = self._model.vision_model
        last = vision.encoder.layers[-1]
        seen: list[Tensor] = []
        hook = last.register_forward_pre_hook(
            lambda _, args, kwargs: seen.append(args[0] if args else kwargs["hidden_states"]),
            with_kwargs=True,
        )
        try:
            vision(pixels, interpolate_pos_encoding=True)
        finally:
            hook.remove()
        x = seen[0]
        x = x + last.self_attn.out_proj(last.self_attn.v_proj(last.layer_norm1(x)))
        x = x + last.mlp(last.layer_norm2(x))
        return self._model.visual_projection(vision.post_layernorm(x[0, 1:]))

    def pool(self, tokens: Tensor, weights: Tensor) -> Tensor:
        """Mean of the local features under the weights."""
        return _mean(tokens, weights)


class SiglipTowers:
    """`transformers.SiglipModel`."""

    def __init__(self, model: Any, tokenize: Tokenize) -> None:
        self._model, self._tokenize = model, tokenize
        self.patch_px = int(model.config.vision_config.patch_size)
        self.logit_scale = float(model.logit_scale.detach().exp())

    def texts(self, texts: Sequence[str]) -> Tensor:
        """Features of texts, float (n, d)."""
        return self._model.text_model(**self._tokenize(texts)).pooler_output

    def pictures(self, pixels: Tensor) -> Tensor:
        """Features of pictures, float (n, d)."""
        return self._model.vision_model(pixels).pooler_output

    def tokens(self, pixels: Tensor) -> Tensor:
        """Local features before pooling, float (rows * columns, c)."""
        vision = self._model.vision_model
        return vision(pixels, interpolate_pos_encoding=True).last_hidden_state[0]

    def pool(self, tokens: Tensor, weights: Tensor) -> Tensor:
        """The attention pooling, with every token counted by its weight."""
        head = self._model.vision_model.head
        many = tokens.expand(len(weights), -1, -1)
        mask = weights.clamp(min=1e-9).log()[:, None]
        mask = mask.repeat_interleave(head.attention.num_heads, 0)
        probe = head.probe.expand(len(weights), -1, -1)
        x = head.attention(probe, many, many, attn_mask=mask, need_weights=False)[0]
        return (x + head.mlp(head.layernorm(x)))[:, 0]


class ConchTowers:
    """CONCH."""

    def __init__(self, model: Conch, tokenize: Tokenize) -> None:
        self._model, self._tokenize = model, tokenize
        self.patch_px = int(model.visual.trunk.patch_embed.proj.kernel_size[0])
        self.logit_scale = model.logit_scale.exp().item()

    def texts(self, texts: Sequence[str]) -> Tensor:
        """Features of texts, float (n, d)."""
        return self._model.text(self._tokenize(texts)["input_ids"])

    def pictures(self, pixels: Tensor) -> Tensor:
        """Features of pictures, float (n, d)."""
        return self._model.visual.pool(self._model.visual.trunk(pixels))

    def tokens(self, pixels: Tensor) -> Tensor:
        """Local features before pooling, float (rows * columns, c)."""
        return self._model.visual.trunk(pixels)[0, 1:]

    def pool(self, tokens: Tensor, weights: Tensor) -> Tensor:
        """The attention pooling, with every token counted by its weight."""
        return self._model.visual.pool(tokens.expand(len(weights), -1, -1), weights)


class BiomedTowers:
    """BiomedCLIP."""

    def __init__(self, model: BiomedClip, tokenize: Tokenize) -> None:
        self._model, self._tokenize = model, tokenize
        self.patch_px = int(model.visual.trunk.patch_embed.proj.kernel_size[0])
        self.logit_scale = model.logit_scale.exp().item()

    def texts(self, texts: Sequence[str]) -> Tensor:
        """Features of texts, float (n, d)."""
        tokens = self._tokenize(texts)
        return self._model.text(tokens["input_ids"], tokens["attention_mask"])

    def pictures(self, pixels: Tensor) -> Tensor:
        """Features of pictures, float (n, d)."""
        return self._model.visual.head.proj(self._model.visual.trunk(pixels)[:, 0])

    def tokens(self, pixels: Tensor) -> Tensor:
        """Local features in the common space, float (rows * columns, d)."""
        return self._model.visual.head.proj(self._model.visual.trunk(pixels, local=True)[0, 1:])

    def pool(self, tokens: Tensor, weights: Tensor) -> Tensor:
        """Mean of the local features under the weights."""
        return _mean(tokens, weights)
