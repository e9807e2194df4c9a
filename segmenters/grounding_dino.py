"""Boxes of Grounding DINO, masks of SAM or MedSAM in them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import pydantic
import torch

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
from segmenters.sam import SamBoxes, SamFeatures, objects_answer
from segmenters.text_prompted import SCORES, PhraseAnswer, PhraseConfig, PhraseSegmenter

PUBLISHED = Preprocessing(800, 800, 1333, IMAGENET_MEAN, IMAGENET_STD)


class GroundingDinoConfig(PhraseConfig):
    """Boxes from Grounding DINO, masks from SAM or MedSAM.

    Attributes:
        detector: folder or hub id of the Grounding DINO model.
        sam: folder or hub id of the SAM model.
        box_threshold: boxes scored lower are dropped (.25 is the detector's own default).
    """

    kind: Literal["grounding_dino"] = "grounding_dino"
    detector: str
    sam: str
    box_threshold: float = pydantic.Field(default=0.25, ge=0, le=1)

    def files(self) -> Mapping[str, Files]:
        """Both models, where they are not left to the hub."""
        return {"detector": files_at(self.detector, MODEL), "sam": files_at(self.sam, MODEL)}


@dataclasses.dataclass(frozen=True)
class EncodedTile:
    """One encoded tile: the detector's input (its encoder reads phrases too), SAM's features."""

    pixels: torch.Tensor
    sam: SamFeatures


class GroundingDinoModel:
    """Detects each phrase by itself, since phrases in one text change each other's boxes.

    Args:
        config: both models, least score.

    Raises:
        Refused: no such model, or not all of its weights.
    """

    def __init__(self, config: GroundingDinoConfig):
        from transformers import GroundingDinoForObjectDetection

        field = "grounding_dino.detector"
        self.detector = load_model(
            GroundingDinoForObjectDetection, config.detector, field, config.device
        )
        self.tokenizer = load_tokenizer(config.detector, field)
        self.prepare = preprocessing(config.detector, PUBLISHED)
        self.sam = SamBoxes(config.sam, "grounding_dino.sam", config.device)
        self.box_threshold = config.box_threshold

    @torch.inference_mode()
    def encode(self, image: np.ndarray) -> EncodedTile:
        """Encode a tile, uint8 (h, w, 3)."""
        return EncodedTile(self.prepare(image).to(self.detector.device), self.sam.encode(image))

    @torch.inference_mode()
    def answer(self, encoded: EncodedTile, phrases: Sequence[str]) -> list[PhraseAnswer]:
        """One answer per phrase, with its objects."""
        return [self._answer(encoded, phrase) for phrase in phrases]

    def _answer(self, encoded: EncodedTile, phrase: str) -> PhraseAnswer:
        longest = self.detector.config.max_text_len
        text = f"{phrase.lower().strip('. ')}."
        whole = self.tokenizer(text, return_tensors="pt", verbose=False).input_ids
        tokens = self.tokenizer(text, return_tensors="pt", truncation=True, max_length=longest).to(
            self.detector.device
        )
        out = self.detector(pixel_values=encoded.pixels, **tokens)
        scores = out.logits[0].sigmoid().amax(dim=-1).cpu().numpy()
        keep = scores >= self.box_threshold
        height, width = encoded.sam.size
        x, y, w, h = out.pred_boxes[0].cpu().numpy()[keep].T
        corners = np.stack((x - w / 2, y - h / 2, x + w / 2, y + h / 2), axis=1)
        boxes = corners.clip(0, 1) * np.array([width, height] * 2)
        probs, _ = self.sam.masks(encoded.sam, boxes)
        answer = objects_answer(probs, scores[keep], encoded.sam.size)
        return dataclasses.replace(answer, truncated=whole.shape[1] > longest)


def build(config: GroundingDinoConfig, threads: int = 1) -> PhraseSegmenter:
    """The configured pair of detector and SAM."""
    return PhraseSegmenter(config.name or "grounding_dino", GroundingDinoModel(config), config)


PART = Part(
    kind="grounding_dino",
    Settings=GroundingDinoConfig,
    build=build,
    columns=SCORES,
)
