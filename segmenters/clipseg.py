"""CLIPSeg (Lüddecke and Ecker, CVPR 2022) through transformers."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import pydantic
import torch
from torch import Tensor
from torch.nn import functional as F

from miner.core.parts import Part
from miner.core.settings import MODEL, Files, files_at
from segmenters.hub import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    Preprocessing,
    load_model,
    load_tokenizer,
    preprocessing,
)
from segmenters.text_prompted import SCORES, PhraseAnswer, PhraseConfig, PhraseSegmenter

PUBLISHED = Preprocessing(352, 352, None, IMAGENET_MEAN, IMAGENET_STD)


class ClipSegConfig(PhraseConfig):
    """CLIPSeg through transformers.

    Attributes:
        model: folder or hub id.
        batch: prompts decoded at once.
    """

    kind: Literal["clipseg"] = "clipseg"
    model: str
    batch: int = pydantic.Field(default=8, ge=1)

    def files(self) -> Mapping[str, Files]:
        """The model, where it is not left to the hub."""
        return {"model": files_at(self.model, MODEL)}


@dataclasses.dataclass(frozen=True)
class Activations:
    """One encoded tile.

    Attributes:
        size: height and width of the tile in px.
        layers: hidden states (1, tokens, C) of the vision tower that the decoder reads.
    """

    size: tuple[int, int]
    layers: list[Tensor]


class ClipSegModel:
    """Encodes a tile with CLIP's vision tower once, then decodes phrases in batches.

    Args:
        config: model and batch.

    Raises:
        Refused: no such model, or not all of its weights.
    """

    def __init__(self, config: ClipSegConfig):
        from transformers import CLIPSegForImageSegmentation

        field = "clipseg.model"
        self.model = load_model(CLIPSegForImageSegmentation, config.model, field, config.device)
        self.tokenizer = load_tokenizer(config.model, field)
        self.prepare = preprocessing(config.model, PUBLISHED)
        self.batch = config.batch
        self._texts: dict[str, tuple[Tensor, bool]] = {}

    @torch.inference_mode()
    def encode(self, image: np.ndarray) -> Activations:
        """Encode a tile, uint8 (h, w, 3)."""
        pixels = self.prepare(image).to(self.model.device)
        states = self.model.clip.vision_model(
            pixels, output_hidden_states=True, interpolate_pos_encoding=True
        ).hidden_states
        layers = [states[i + 1] for i in self.model.extract_layers]
        return Activations((image.shape[0], image.shape[1]), layers)

    @torch.inference_mode()
    def answer(self, encoded: Activations, phrases: Sequence[str]) -> list[PhraseAnswer]:
        """One answer per phrase."""
        answers = []
        for start in range(0, len(phrases), self.batch):
            texts = [self._embed(phrase) for phrase in phrases[start : start + self.batch]]
            condition = torch.cat([embedding for embedding, _ in texts])
            layers = [layer.expand(len(texts), -1, -1) for layer in encoded.layers]
            logits = self.model.decoder(layers, condition).logits
            side = logits.shape[-1]
            resized = F.interpolate(
                logits.reshape(1, len(texts), side, side),
                encoded.size,
                mode="bilinear",
                align_corners=False,
            )
            probs = resized[0].sigmoid().float().cpu().numpy()
            answers += [
                PhraseAnswer(prob, truncated=cut)
                for prob, (_, cut) in zip(probs, texts, strict=True)
            ]
        return answers

    def _embed(self, phrase: str) -> tuple[Tensor, bool]:
        """Conditional embedding (1, C) of a phrase, and whether it was cut; kept for the run."""
        if phrase not in self._texts:
            longest = self.model.config.text_config.max_position_embeddings
            whole = self.tokenizer(phrase, return_tensors="pt", verbose=False).input_ids
            tokens = self.tokenizer(
                phrase, return_tensors="pt", truncation=True, max_length=longest
            ).to(self.model.device)
            embedding = self.model.get_conditional_embeddings(
                batch_size=1, input_ids=tokens.input_ids, attention_mask=tokens.attention_mask
            )
            self._texts[phrase] = embedding, whole.shape[1] > longest
        return self._texts[phrase]


def build(config: ClipSegConfig, threads: int = 1) -> PhraseSegmenter:
    """The configured CLIPSeg."""
    return PhraseSegmenter(config.name or "clipseg", ClipSegModel(config), config)


PART = Part(
    kind="clipseg",
    Settings=ClipSegConfig,
    build=build,
    columns=SCORES,
)
