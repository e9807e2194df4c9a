"""The learned segmenter behind the protocol."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping, Sequence
from typing import Literal

import cv2
import numpy as np

from miner.core.parts import Part
from miner.core.settings import Files, PartSettings, files_at
from segmenters.mitoses import FIGURES
from segmenters.protocol import Candidate, Prompt, Segmenter
from segmenters.regions.outputs import CLASSES
from segmenters.stain import support
from segmenters.stain.nuclei import drop_small, split
from segmenters.unet import encoded as views
from segmenters.unet import glands, objects
from segmenters.unet.encoded import Nets, UnetMaps
from segmenters.unet.outputs import HEADS, NUCLEI

# What came out of training well enough to be asked for; the other maps only helped it.
REGIONS = CLASSES[1:]
OBJECTS = ("gland", "lumen", "red blood cell", "glomerulus", "mitotic figure")
# Probability from which a pixel is of a region, and where another is better on tiles kept apart:
# mean Dice at .5 and .35 of stroma .80 and .84, of infiltrate .76 and .79, of muscle .73 and .77,
# of epithelium .90 and .89, of tumor .73 and .73.
REGION_FROM = 0.5
FAINT_FROM = {"stroma": 0.35, "lymphocytic infiltrate": 0.35, "muscle": 0.35}
# Smallest piece of a region that is kept, um2.
MIN_REGION_UM2 = 400.0
MIN_RED_CELL_UM2 = 12.0
# Probability from which a dark thing is a mitotic figure.
FIGURE_FROM = 0.7
FIGURE_GAP_UM = 1.2
# Stromal nuclei are thin and pale, so that much of their width lies below the threshold: they grow
# by this into pixels of this probability and more. Object F1 without, from .3, .2 and .1 on: of
# brca_m2c kept apart (derived outlines) .426, .472, .489, .505, of phantoms .399, .454, .464, .464,
# of hgsc (the publisher's tight ones) .324, .307, .290, .255. Epithelial nuclei so gain .02 there
# and lose .01 on phantoms, lymphocytes stay within .01.
FAINT_NUCLEUS = "stromal nucleus"
FAINT_REACH_UM, FAINT_NUCLEUS_FROM = 1.0, 0.3
SCORES = {
    "expected_iou": "IoU that the network's own probabilities promise, 0..1",
    "mean_probability": "mean probability under the mask, 0..1",
    "margin": "of a region: mean lead under the mask over the likeliest other tissue, -1..1",
    "mpp": "um per pixel that the picture was taken to have",
    "mpp_estimated": "1 where that was estimated from the picture",
}


class UnetConfig(PartSettings):
    """The embedded small network."""

    kind: Literal["unet"] = "unet"

    def files(self) -> Mapping[str, Files]:
        """The networks."""
        return {"networks": files_at(pathlib.Path(__file__).parent / "weights")}


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
        from segmenters.kinds import model as kinds
        from segmenters.mitoses import model as figures
        from segmenters.regions import weights as region_weights
        from segmenters.unet import weights  # with it torch loads

        folder = folder or weights.FOLDER
        self._nets = Nets(
            {net: weights.load(net, folder / f"{net}.pt") for net in HEADS},
            region_weights.load(folder / region_weights.FILE.name),
            figures.load(folder / figures.FILE.name),
            kinds.load(folder / kinds.FILE.name),
        )

    def supports(self, concept: str) -> bool:
        """Whether one of the maps is this concept."""
        return concept in ("nucleus", *NUCLEI.softmax, *REGIONS, *OBJECTS)

    def encode(self, image: np.ndarray, mpp: float | None) -> UnetMaps:
        """Settle the scale; the maps are computed when they are asked for.

        Args:
            image: uint8 (H, W, 3), RGB.
            mpp: um per pixel, None when unknown.
        """
        return UnetMaps(image, mpp, self._nets)

    def segment(self, encoded: UnetMaps, prompts: Sequence[Prompt]) -> list[Candidate]:
        """Answer each prompt, in order."""
        return [self.answer(encoded, prompt) for prompt in prompts]

    def answer(
        self, encoded: UnetMaps, prompt: Prompt, hint: np.ndarray | None = None
    ) -> Candidate:
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
            probability, lead = region(encoded, concept)
            mask = region_mask(encoded, probability, FAINT_FROM.get(concept, REGION_FROM))
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
        if concept in REGIONS:
            scores["margin"] = float(lead[mask].mean())
        return Candidate(concept, wording, mask, labels, scores["expected_iou"], None, scores)


def region(encoded: UnetMaps, concept: str) -> tuple[np.ndarray, np.ndarray]:
    """Probability of a region and its lead over the likeliest other, float32 (H, W) each."""
    size = encoded.shape[::-1]
    maps = encoded.tissue_maps
    own = cv2.resize(maps[concept], size, interpolation=cv2.INTER_LINEAR)
    others = [maps[name] for name in CLASSES if name != concept]
    best = cv2.resize(np.maximum.reduce(others), size, interpolation=cv2.INTER_LINEAR)
    return own, own - best


def region_mask(encoded: UnetMaps, probability: np.ndarray, least: float) -> np.ndarray:
    """The region without specks, bool (H, W).

    Args:
        encoded: the picture.
        probability: float32 (H, W), 0..1.
        least: from which a pixel is of it.
    """
    return drop_small(probability > least, MIN_REGION_UM2 / encoded.tissue_scale.mpp**2)


def find(
    encoded: UnetMaps, concept: str, hint: np.ndarray | None = None
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
        return encoded.large_nuclei
    if concept in NUCLEI.softmax:
        return _nuclei_of(encoded, NUCLEI.softmax.index(concept))
    if concept == "gland":
        return objects.enlarge(*views.glands(encoded, hint), glands.THRESHOLD, encoded.shape)
    if concept == "lumen":
        return objects.enlarge(*views.lumina(encoded), views.THRESHOLD, encoded.shape)
    if concept == "mitotic figure":
        return _figures(encoded, FIGURES.index(concept))
    if concept == "glomerulus":
        return objects.enlarge(*views.glomeruli(encoded), views.THRESHOLD, encoded.shape)
    probability = encoded.nuclear_maps[concept]
    mask = drop_small(probability > 0.5, MIN_RED_CELL_UM2 / encoded.mpp**2)
    return objects.enlarge(split(mask, encoded.mpp), probability, 0.5, encoded.shape)


def _figures(encoded: UnetMaps, kind: int) -> tuple[np.ndarray, np.ndarray]:
    """The dark things that are of a kind; their probability is that of the kind, inside alone.

    Pieces that all but touch, as the plates of an anaphase do, are one.
    """
    found, kinds = encoded.figures
    share = np.concatenate([[0.0], kinds[:, kind + 1]]).astype(np.float32)
    share[share < FIGURE_FROM] = 0
    inside = share[found]
    side = 2 * round(FIGURE_GAP_UM / encoded.mpp / 2) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    _, joined = cv2.connectedComponents(cv2.dilate((inside > 0).astype(np.uint8), kernel))
    labels = np.where(inside > 0, joined, 0).astype(np.float32)
    size = encoded.shape[::-1]
    large = cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST_EXACT).astype(np.int32)
    return large, cv2.resize(inside, size, interpolation=cv2.INTER_NEAREST_EXACT)


def _nuclei_of(encoded: UnetMaps, kind: int) -> tuple[np.ndarray, np.ndarray]:
    """The nuclei whose likeliest kind is `kind`; their probability is of both being there."""
    kinds = encoded.kinds
    keep = np.concatenate([[False], kinds.argmax(axis=1) == kind])
    names = np.zeros(len(keep), np.int32)
    names[keep] = np.arange(1, keep.sum() + 1, dtype=np.int32)
    share = np.concatenate([[0.0], kinds[:, kind]]).astype(np.float32)
    labels, fine = encoded.large_nuclei
    probability = cv2.resize(share[encoded.nuclei], encoded.shape[::-1]) * fine
    if NUCLEI.softmax[kind] != FAINT_NUCLEUS:
        return names[labels], probability
    reach_px = max(1, round(FAINT_REACH_UM / encoded.scale.mpp))
    free = (labels == 0) & (fine > FAINT_NUCLEUS_FROM)
    grown = objects.grow(np.where(keep[labels], labels, 0), free, reach_px)
    new = (grown > 0) & (labels == 0)
    return names[grown], np.where(new, share[grown] * fine, probability)


PART = Part(
    kind="unet",
    Settings=UnetConfig,
    build=lambda config, threads: UnetSegmenter(),
    columns=SCORES,
)
