"""SAM 3 with text prompts, and SAM or MedSAM with boxes, through transformers.

Plain SAM 3 hardly answers to nuclear terms, by published tests; a medical fine-tuning of it, or
boxes from elsewhere, is what to use on histology.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal

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

HALF = (0.5, 0.5, 0.5)


class Sam3Config(PhraseConfig):
    """SAM 3 with text prompts, and its medical fine-tunings.

    Attributes:
        model: folder or hub id.
        min_score: objects scored lower are dropped.
    """

    kind: Literal["sam3"] = "sam3"
    model: str
    min_score: float = pydantic.Field(default=0.5, ge=0, le=1)

    def files(self) -> Mapping[str, Files]:
        """The model, where it is not left to the hub."""
        return {"model": files_at(self.model, MODEL)}


def label_map(masks: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Label map of possibly overlapping masks: a pixel goes to the object with the best score.

    Args:
        masks: bool (n, h, w).
        scores: float (n,).

    Returns:
        int32 (h, w), 1..n from the best score to the worst, 0 background.
    """
    labels = np.zeros(masks.shape[1:], np.int32)
    order = np.argsort(-scores, kind="stable")
    for number, i in reversed(list(enumerate(order, start=1))):
        labels[masks[i]] = number
    return labels


def objects_answer(probs: np.ndarray, scores: np.ndarray, size: tuple[int, int]) -> PhraseAnswer:
    """An answer from single objects.

    Args:
        probs: float (n, h, w), mask probabilities of the objects.
        scores: float (n,), 0..1.
        size: (h, w), also where there are no objects.
    """
    if not len(probs):
        empty = np.zeros(size, np.float32)
        return PhraseAnswer(empty, empty.astype(np.int32), score=0.0)
    labels = label_map(probs >= 0.5, scores)
    return PhraseAnswer(probs.max(axis=0).astype(np.float32), labels, score=float(scores.mean()))


class Sam3Model:
    """Encodes a tile once, then finds all objects of each phrase.

    Args:
        config: model and least score.

    Raises:
        Refused: no such model, or not all of its weights.
    """

    def __init__(self, config: Sam3Config):
        from transformers import Sam3Model as Network

        self.model = load_model(Network, config.model, "sam3.model", config.device)
        self.tokenizer = load_tokenizer(config.model, "sam3.model")
        side = self.model.config.vision_config.image_size
        self.prepare = preprocessing(config.model, Preprocessing(side, side, None, HALF, HALF))
        self.min_score = config.min_score
        self._texts: dict[str, tuple[Any, Tensor, bool]] = {}

    @torch.inference_mode()
    def encode(self, image: np.ndarray) -> tuple[tuple[int, int], Any]:
        """Encode a tile, uint8 (h, w, 3)."""
        pixels = self.prepare(image).to(self.model.device)
        return (image.shape[0], image.shape[1]), self.model.get_vision_features(pixels)

    @torch.inference_mode()
    def answer(
        self, encoded: tuple[tuple[int, int], Any], phrases: Sequence[str]
    ) -> list[PhraseAnswer]:
        """One answer per phrase, with its objects."""
        size, vision = encoded
        answers = []
        for phrase in phrases:
            text, mask, cut = self._embed(phrase)
            out = self.model(vision_embeds=vision, text_embeds=text, attention_mask=mask)
            scores = out.pred_logits[0].sigmoid()
            if out.presence_logits is not None:
                scores = scores * out.presence_logits[0].sigmoid()
            keep = scores >= self.min_score
            probs = out.pred_masks[0][keep].sigmoid()
            if len(probs):
                probs = F.interpolate(probs[None], size, mode="bilinear", align_corners=False)[0]
            answer = objects_answer(
                probs.float().cpu().numpy(), scores[keep].float().cpu().numpy(), size
            )
            answers.append(dataclasses.replace(answer, truncated=cut))
        return answers

    def _embed(self, phrase: str) -> tuple[Any, Tensor, bool]:
        """Text features, attention mask, and whether the phrase was cut; kept for the run."""
        if phrase not in self._texts:
            longest = self.model.config.text_config.max_position_embeddings
            whole = self.tokenizer(phrase, return_tensors="pt", verbose=False).input_ids
            tokens = self.tokenizer(
                phrase,
                return_tensors="pt",
                padding="max_length",
                truncation=True,
                max_length=longest,
            ).to(self.model.device)
            features = self.model.get_text_features(
                input_ids=tokens.input_ids, attention_mask=tokens.attention_mask, return_dict=True
            )
            self._texts[phrase] = features, tokens.attention_mask, whole.shape[1] > longest
        return self._texts[phrase]


@dataclasses.dataclass(frozen=True)
class SamFeatures:
    """One encoded picture.

    Attributes:
        size: height and width of the picture in px.
        inner: height and width that the picture has inside the model's padded square.
        embeddings: (1, C, h, w).
    """

    size: tuple[int, int]
    inner: tuple[int, int]
    embeddings: Tensor


class SamBoxes:
    """SAM or MedSAM: a mask for each box.

    Args:
        source: folder or hub id.
        field: of the configuration, for messages.
        device: where the model runs.

    Raises:
        Refused: no such model, or not all of its weights.
    """

    def __init__(self, source: str, field: str, device: str):
        from transformers import SamModel

        self.model = load_model(SamModel, source, field, device)
        self.side = self.model.config.vision_config.image_size
        published = Preprocessing(self.side, self.side, self.side, IMAGENET_MEAN, IMAGENET_STD)
        said = preprocessing(source, published)
        self.prepare = dataclasses.replace(published, mean=said.mean, std=said.std)

    @torch.inference_mode()
    def encode(self, image: np.ndarray) -> SamFeatures:
        """Encode a picture, uint8 (H, W, 3): longest side to the model's, then padded."""
        pixels = self.prepare(image)
        height, width = pixels.shape[-2:]
        padded = F.pad(pixels, (0, self.side - width, 0, self.side - height))
        embeddings = self.model.get_image_embeddings(padded.to(self.model.device))
        return SamFeatures((image.shape[0], image.shape[1]), (height, width), embeddings)

    @torch.inference_mode()
    def masks(self, features: SamFeatures, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """One mask per box.

        Args:
            features: what `encode` returned.
            boxes: float (n, 4), x1, y1, x2, y2 in px of the picture.

        Returns:
            Probabilities float32 (n, H, W) at the size of the picture, and the model's own
            estimate of each mask's IoU, float32 (n,).
        """
        if not len(boxes):
            return np.zeros((0, *features.size), np.float32), np.zeros(0, np.float32)
        (height, width), (inner_height, inner_width) = features.size, features.inner
        scale = np.array([inner_width / width, inner_height / height] * 2)
        out = self.model(
            image_embeddings=features.embeddings,
            input_boxes=torch.tensor(boxes * scale, dtype=torch.float32)[None].to(
                self.model.device
            ),
            multimask_output=False,
        )
        square = F.interpolate(
            out.pred_masks[0].float(), (self.side, self.side), mode="bilinear", align_corners=False
        )
        logits = F.interpolate(
            square[..., :inner_height, :inner_width],
            features.size,
            mode="bilinear",
            align_corners=False,
        )
        probs = logits[:, 0].sigmoid().cpu().numpy()
        return probs, out.iou_scores[0, :, 0].float().cpu().numpy()


def build(config: Sam3Config, threads: int = 1) -> PhraseSegmenter:
    """The configured SAM 3."""
    return PhraseSegmenter(config.name or "sam3", Sam3Model(config), config)


PART = Part(
    kind="sam3",
    Settings=Sam3Config,
    build=build,
    columns=SCORES,
)
