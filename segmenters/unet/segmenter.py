"""The learned segmenter behind the protocol."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence
from typing import Literal

import cv2
import numpy as np

from miner.core.parts import Part
from miner.core.settings import PartSettings
from segmenters.protocol import Candidate, Prompt, Segmenter
from segmenters.stain import support
from segmenters.stain.nuclei import drop_small, split
from segmenters.unet import encoded as views
from segmenters.unet import glands, objects
from segmenters.unet.encoded import Encoded
from segmenters.unet.outputs import HEADS, NUCLEI

# What came out of training well enough to be asked for; the other maps only helped it.
REGIONS = ("epithelium", "stroma")
OBJECTS = ("gland", "lumen", "red blood cell", "glomerulus")
# Smallest piece of a region that is kept, um2.
MIN_REGION_UM2 = 400.0
MIN_RED_CELL_UM2 = 12.0
SCORES = {
    "expected_iou": "IoU that the network's own probabilities promise, 0..1",
    "mean_probability": "mean probability under the mask, 0..1",
    "mpp": "um per pixel that the picture was taken to have",
    "mpp_estimated": "1 where that was estimated from the picture",
}


class UnetConfig(PartSettings):
    """The embedded small network."""

    kind: Literal["unet"] = "unet"


def expected_iou(probability: np.ndarray, mask: np.ndarray) -> float:
    """IoU of the mask that its own probabilities promise.

    Args:
        probability: float32 (H, W), 0..1.
        mask: bool (H, W).
    """
    inside = float(probability[mask].sum())
    union = float(mask.sum()) + float(probability[~mask].sum())
    return inside / union if union else 0.0


class UnetSegmenter(Segmenter):
    """Small U-Nets: nuclei at .4 um per pixel, tissue at 2, glomeruli in PAS at 3."""

    name = "unet"

    def __init__(self, folder: pathlib.Path | None = None) -> None:
        """Load the weights.

        Args:
            folder: where the networks of `HEADS` are, one file each; the shipped ones when None.
        """
        from segmenters.unet import weights  # with it torch loads

        folder = folder or weights.FOLDER
        self._nets = {net: weights.load(net, folder / f"{net}.pt") for net in HEADS}

    def supports(self, concept: str) -> bool:
        """Whether one of the maps is this concept."""
        return concept == "nucleus" or concept in NUCLEI.softmax + REGIONS + OBJECTS

    def encode(self, image: np.ndarray, mpp: float | None) -> Encoded:
        """Settle the scale; the maps are computed when they are asked for.

        Args:
            image: uint8 (H, W, 3), RGB.
            mpp: um per pixel, None when unknown.
        """
        return Encoded(image, mpp, self._nets)

    def segment(self, encoded: Encoded, prompts: Sequence[Prompt]) -> list[Candidate]:
        """Answer each prompt, in order."""
        return [self.answer(encoded, prompt) for prompt in prompts]

    def answer(self, encoded: Encoded, prompt: Prompt, hint: np.ndarray | None = None) -> Candidate:
        """Answer one prompt.

        Args:
            encoded: the picture.
            prompt: what is asked for.
            hint: bool (H, W), what another segmenter takes for it; only glands heed it.
        """
        concept, wording = prompt.concept, prompt.wordings[0]
        if not self.supports(concept):
            return Candidate(concept, wording, None, reason="unsupported")
        if concept in support.STAIN_OF and not support.supported(encoded.kind, concept):
            return Candidate(concept, wording, None, reason="out_of_support")
        if concept in REGIONS:
            labels = None
            probability = region(encoded, concept)
            mask = region_mask(encoded, probability)
        else:
            labels, probability = find(encoded, concept, hint)
            mask = labels > 0
        coarse = concept in REGIONS or concept in ("gland", "lumen", "glomerulus")
        scale = encoded.tissue_scale if coarse else encoded.scale
        scores = {
            "mpp": round(scale.mpp, 4),
            "mpp_estimated": float(scale.source != "given"),
        }
        if not mask.any():
            return Candidate(concept, wording, None, reason="empty", scores=scores)
        scores["expected_iou"] = expected_iou(probability, mask)
        scores["mean_probability"] = float(probability[mask].mean())
        return Candidate(concept, wording, mask, labels, scores["expected_iou"], None, scores)


def region(encoded: Encoded, concept: str) -> np.ndarray:
    """Probability of a region at the size of the picture, float32 (H, W)."""
    maps = encoded.tissue_maps
    small = maps[concept] if concept in maps else maps[f"~{concept}"]
    return cv2.resize(small, encoded.shape[::-1], interpolation=cv2.INTER_LINEAR)


def region_mask(encoded: Encoded, probability: np.ndarray) -> np.ndarray:
    """The region without specks, bool (H, W)."""
    return drop_small(probability > 0.5, MIN_REGION_UM2 / encoded.tissue_scale.mpp**2)


def find(
    encoded: Encoded, concept: str, hint: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Objects of a concept at the size of the picture.

    Args:
        encoded: the picture.
        concept: one of `OBJECTS`, a kind of nucleus or "nucleus".
        hint: see `UnetSegmenter.answer`.

    Returns:
        labels int32 (H, W); probability float32 (H, W).
    """
    if concept == "nucleus":
        probability = encoded.nucleus
        return objects.enlarge(encoded.nuclei, probability, views.THRESHOLD, encoded.shape)
    if concept in NUCLEI.softmax:
        return _nuclei_of(encoded, NUCLEI.softmax.index(concept))
    if concept == "gland":
        return objects.enlarge(*views.glands(encoded, hint), glands.THRESHOLD, encoded.shape)
    if concept == "lumen":
        return objects.enlarge(*views.lumina(encoded), views.THRESHOLD, encoded.shape)
    if concept == "glomerulus":
        return objects.enlarge(*views.glomeruli(encoded), views.THRESHOLD, encoded.shape)
    probability = encoded.nuclear_maps[concept]
    mask = drop_small(probability > 0.5, MIN_RED_CELL_UM2 / encoded.mpp**2)
    return objects.enlarge(split(mask, encoded.mpp), probability, 0.5, encoded.shape)


def _nuclei_of(encoded: Encoded, kind: int) -> tuple[np.ndarray, np.ndarray]:
    """The nuclei whose likeliest kind is `kind`; their probability is of both being there."""
    kinds = encoded.kinds
    keep = np.concatenate([[False], kinds.argmax(axis=1) == kind])
    names = np.zeros(len(keep), np.int32)
    names[keep] = np.arange(1, keep.sum() + 1, dtype=np.int32)
    share = np.concatenate([[0.0], kinds[:, kind]]).astype(np.float32)
    nucleus = encoded.nucleus
    chosen = names[encoded.nuclei]
    labels, fine = objects.enlarge(chosen, nucleus, views.THRESHOLD, encoded.shape)
    probability = cv2.resize(share[encoded.nuclei], encoded.shape[::-1]) * fine
    return labels, probability


PART = Part(
    kind="unet",
    Settings=UnetConfig,
    build=lambda config, threads: UnetSegmenter(),
    columns=SCORES,
)
