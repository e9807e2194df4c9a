"""The default segmenter: what ships in the package, per concept whichever answers best."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from miner.core.parts import Part
from miner.core.settings import Files, PartSettings, files_at
from segmenters import stain, unet
from segmenters.confidence import confidence
from segmenters.equivalents import answered_as
from segmenters.protocol import Candidate, Prompt, Segmenter
from segmenters.routes import ROUTES, native
from segmenters.stain import support
from segmenters.stain.segmenter import SCORES as STAIN_SCORES
from segmenters.stain.segmenter import StainConfig, StainMaps
from segmenters.unet.encoded import UnetMaps
from segmenters.unet.segmenter import SCORES as UNET_SCORES
from segmenters.unet.segmenter import UnetConfig

SCORES = {
    **STAIN_SCORES,
    **UNET_SCORES,
    "agreement": "IoU of what networks and rules drew, .5 where one of them cannot, 0..1",
    "area_fraction": "share of the picture covered, 0..1",
    "objects": "single objects, 0 for a region",
}


class EmbeddedConfig(PartSettings):
    """The shipped segmenter: per concept the better of `stain` and `unet`."""

    kind: Literal["embedded"] = "embedded"

    def files(self) -> Mapping[str, Files]:
        """The networks, and what was fitted to them."""
        data = files_at(Path(__file__).parent / "data", (".json",))
        return {**StainConfig().files(), **UnetConfig().files(), "data": data}


class SeenByBoth:
    """One picture, seen by both segmenters at one scale."""

    def __init__(self, image: np.ndarray, mpp: float | None, network: unet.UnetSegmenter) -> None:
        """Recognise what kind of picture it is.

        Args:
            image: uint8 (H, W, 3), RGB.
            mpp: um per pixel, None when unknown.
            network: settles the scale.
        """
        self.image, self.mpp, self._network = image, mpp, network
        self.kind = support.recognise(image)
        self.answers: dict[tuple[str, str], Candidate] = {}

    @functools.cached_property
    def unet(self) -> UnetMaps:
        """As the networks see it."""
        return self._network.encode(self.image, self.mpp)

    @functools.cached_property
    def stain(self) -> StainMaps:
        """As the rules see it, at the scale and with the nuclei that the networks found."""
        return StainMaps(self.image, self.mpp, self.unet.scale, self.kind, self.unet.nuclei)

    @functools.cached_property
    def regions(self) -> StainMaps:
        """As the rules for glands and regions see it: at the scale of the tissue."""
        settled = self.unet.tissue_scale
        if settled == self.unet.scale:
            return self.stain
        return StainMaps(self.image, self.mpp, settled, self.kind, self.unet.nuclei)


class EmbeddedSegmenter(Segmenter):
    """Needs no download: small networks and a set of rules, and knows what neither can do."""

    name = "embedded"

    def __init__(self) -> None:
        self._unet = unet.UnetSegmenter()
        self._stain = stain.StainSegmenter()

    def supports(self, concept: str) -> bool:
        """Whether the concept can be answered at all."""
        return native(concept) is not None

    def encode(self, image: np.ndarray, mpp: float | None) -> SeenByBoth:
        """Encode one picture for any number of prompts.

        Args:
            image: uint8 (H, W, 3), RGB.
            mpp: um per pixel, None when unknown.
        """
        return SeenByBoth(image, mpp, self._unet)

    def segment(self, encoded: SeenByBoth, prompts: Sequence[Prompt]) -> list[Candidate]:
        """Answer each prompt, in order."""
        return [self._answer(encoded, prompt) for prompt in prompts]

    def _answer(self, encoded: SeenByBoth, prompt: Prompt) -> Candidate:
        concept = answered_as(prompt.concept, ROUTES.__contains__, prompt.site, prompt.diagnoses)
        if concept is None:
            return Candidate(prompt.concept, prompt.wordings[0], None, reason="unsupported")
        if not support.supported(encoded.kind, concept):
            found = Candidate(concept, concept, None, reason="out_of_support")
        else:
            found = self._ask(encoded, concept, ROUTES[concept])
        if found.mask is not None:
            found = self._judge(encoded, concept, found)
        return dataclasses.replace(
            found,
            concept=prompt.concept,
            prompt=prompt.wordings[0],
            asked_as=None if concept == prompt.concept else concept,
        )

    def _ask(self, encoded: SeenByBoth, concept: str, route: str) -> Candidate:
        """What one of the two answers, worked out once per picture."""
        key = (concept, route)
        if key not in encoded.answers:
            prompt = Prompt(concept, "", (concept,))
            if concept == "cytoplasm":
                answer = self._between(encoded)
            elif route == "both":
                hint = self._ask(encoded, concept, "stain").mask
                answer = self._unet.answer(encoded.unet, prompt, hint)
            elif route == "unet":
                answer = self._unet.segment(encoded.unet, [prompt])[0]
            else:
                answer = self._stain.segment(encoded.regions, [prompt])[0]
            encoded.answers[key] = answer
        return encoded.answers[key]

    def _between(self, encoded: SeenByBoth) -> Candidate:
        """Cytoplasm: what lies between the nuclei of epithelium, whose cells leave no gaps."""
        tissue = self._ask(encoded, "epithelium", ROUTES["epithelium"])
        nuclei = self._ask(encoded, "nucleus", ROUTES["nucleus"])
        if tissue.mask is None or nuclei.mask is None or not (tissue.mask & ~nuclei.mask).any():
            reason = tissue.reason or nuclei.reason or "empty"
            return Candidate("cytoplasm", "cytoplasm", None, reason=reason)
        return dataclasses.replace(tissue, mask=tissue.mask & ~nuclei.mask)

    def _judge(self, encoded: SeenByBoth, concept: str, found: Candidate) -> Candidate:
        """The candidate with what its confidence is read from, and the confidence."""
        assert found.mask is not None
        scores = dict(found.scores)
        other = "stain" if ROUTES[concept] == "unet" else "unet"
        agreement = 0.5
        if ROUTES[concept] == "both":
            one, two = (self._ask(encoded, concept, r).mask for r in ("unet", "stain"))
            agreement = _iou(one, two) if one is not None and two is not None else 0.0
        elif concept == "nucleus" or concept in unet.KINDS:
            agreement = _iou(encoded.stain.nuclei > 0, encoded.stain.dark)
        elif (self._stain if other == "stain" else self._unet).supports(concept):
            second = self._ask(encoded, concept, other).mask
            agreement = _iou(found.mask, second) if second is not None else 0.0
        scores["agreement"] = agreement
        scores["area_fraction"] = float(found.mask.mean())
        scores["objects"] = float(found.labels.max()) if found.labels is not None else 0.0
        scores.setdefault("expected_iou", 0.5)
        return dataclasses.replace(found, confidence=confidence(concept, scores), scores=scores)


def _iou(one: np.ndarray, two: np.ndarray) -> float:
    union = int((one | two).sum())
    return int((one & two).sum()) / union if union else 0.0


PART = Part(
    kind="embedded",
    Settings=EmbeddedConfig,
    build=lambda config, threads: EmbeddedSegmenter(),
    columns=SCORES,
)
