"""Sizes of a BiomedParse model: the released ones by default, smaller ones for tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pydantic

from miner.core.settings import Settings


class Sizes(Settings):
    """Everything the tensors' shapes and the forward pass depend on.

    Attributes:
        image_size: side in px to which every picture is resized before encoding.
        embed_dim: channels of the first backbone stage; each further stage doubles them.
        depths: blocks of each backbone stage.
        focal_levels: depth-wise convolutions of each stage's modulation.
        focal_windows: smallest kernel of each stage; each further level adds 2.
        mlp_ratio: hidden width of a backbone block relative to its channels.
        hidden_dim: width of pixel decoder and decoder.
        mask_dim: channels of the mask features.
        proj_dim: width of the space shared by queries and text.
        heads: attention heads of pixel decoder and decoder.
        ff_dim: hidden width of the decoder's feed-forward layers.
        encoder_ff_dim: hidden width of the pixel decoder's feed-forward layers.
        encoder_layers: transformer layers of the pixel decoder.
        decoder_layers: layers of the decoder.
        queries: object queries.
        vocabulary: text tokens known.
        context: longest prompt in tokens, start and end included.
        text_width: width of the text encoder.
        text_heads: attention heads of the text encoder.
        text_layers: layers of the text encoder.
    """

    image_size: int = 1024
    embed_dim: int = 192
    depths: tuple[int, ...] = (2, 2, 18, 2)
    focal_levels: tuple[int, ...] = (4, 4, 4, 4)
    focal_windows: tuple[int, ...] = (3, 3, 3, 3)
    mlp_ratio: float = 4.0
    hidden_dim: int = 512
    mask_dim: int = 512
    proj_dim: int = 512
    heads: int = 8
    ff_dim: int = 2048
    encoder_ff_dim: int = 2048
    encoder_layers: int = 6
    decoder_layers: int = 9
    queries: int = 101
    vocabulary: int = 49408
    context: int = 77
    text_width: int = 512
    text_heads: int = 8
    text_layers: int = 12

    @pydantic.model_validator(mode="after")
    def _consistent(self) -> Sizes:
        if len({len(self.depths), len(self.focal_levels), len(self.focal_windows), 4}) != 1:
            raise ValueError("depths, focal_levels and focal_windows need four stages")
        if self.image_size % 32:
            raise ValueError("image_size must be a multiple of 32")
        if self.hidden_dim % 32:
            raise ValueError("hidden_dim must be a multiple of 32, the groups of the norms")
        if self.hidden_dim % self.heads or self.text_width % self.text_heads:
            raise ValueError("widths must be multiples of their heads")
        return self

    @property
    def channels(self) -> tuple[int, ...]:
        """Channels of the backbone's maps res2 to res5, at strides 4 to 32."""
        return tuple(self.embed_dim << i for i in range(len(self.depths)))

    @classmethod
    def from_official(cls, model: Mapping[str, Any], image_size: int) -> Sizes:
        """Sizes of the official YAML's `MODEL` section.

        Args:
            model: the section as a dictionary.
            image_size: side in px that goes with it.
        """
        focal, text = model["BACKBONE"]["FOCAL"], model["TEXT"]
        encoder, decoder = model["ENCODER"], model["DECODER"]
        return cls(
            image_size=image_size,
            embed_dim=focal["EMBED_DIM"],
            depths=focal["DEPTHS"],
            focal_levels=focal["FOCAL_LEVELS"],
            focal_windows=focal["FOCAL_WINDOWS"],
            mlp_ratio=focal["MLP_RATIO"],
            hidden_dim=decoder["HIDDEN_DIM"],
            mask_dim=encoder["MASK_DIM"],
            proj_dim=model["DIM_PROJ"],
            heads=decoder["NHEADS"],
            ff_dim=decoder["DIM_FEEDFORWARD"],
            encoder_ff_dim=decoder["DIM_FEEDFORWARD"],
            encoder_layers=encoder["TRANSFORMER_ENC_LAYERS"],
            # The official count includes the prediction before the first layer.
            decoder_layers=decoder["DEC_LAYERS"] - 1,
            queries=decoder["NUM_OBJECT_QUERIES"],
            context=text["CONTEXT_LENGTH"],
            text_width=text["WIDTH"],
            text_heads=text["HEADS"],
            text_layers=text["LAYERS"],
        )
