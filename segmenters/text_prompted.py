"""A text-prompted model as a segmenter: tiles, wordings, scales, and from probability to mask."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol, cast

import numpy as np
import pydantic

from miner.core.settings import PartSettings
from ner.concepts import concepts
from segmenters.ensemble import iou, mean_pairwise_iou
from segmenters.probability import RegionConfig, to_region
from segmenters.protocol import Candidate, Prompt, Segmenter
from segmenters.stain import colour, scale
from segmenters.tiling import (
    Blend,
    TileBox,
    TilingConfig,
    field_um,
    grid,
    merge_labels,
    side_px,
    tissue_share,
)

SLIVER_PX = 16
# What a `PhraseSegmenter` says of a mask.
SCORES: Mapping[str, str] = {
    "fell_back": "1 where memory did not suffice for the configured batch",
    "max_probability": "highest probability in the picture, 0..1",
    "mean_probability": "mean probability under the mask, 0..1",
    "same_query": "share of the tiles in which another phrase got the same answer, 0..1",
    "scale_agreement": "mean IoU with the masks at other um per pixel tried, 0..1",
    "scale_mpp": "um per pixel that the picture was taken to have, where nobody says it",
    "tile_px": "side of the tiles in which the picture was shown, px of the picture",
    "truncated": "1 where the phrase was longer than the model reads",
    "wording_agreement": "mean IoU of the masks by wording, 0..1",
}


class PhraseConfig(PartSettings):
    """What every text-prompted model has in common.

    Attributes:
        name: name in the ledger; the kind when empty.
        device: "cpu", "cuda", "cuda:1" ...
        wordings: how many wordings of a concept are asked; their mean probability counts and
            their agreement is a score.
        tiling: at what physical scale.
        regions: from probability to regions.
    """

    name: str = ""
    device: str = "cpu"
    wordings: int = pydantic.Field(default=2, ge=1)
    tiling: TilingConfig = TilingConfig()
    regions: RegionConfig = RegionConfig()


@dataclasses.dataclass(frozen=True)
class PhraseAnswer:
    """What a model says about one phrase in one tile.

    Attributes:
        prob: float32 (h, w), 0..1, at the size of the tile.
        objects: int32 (h, w), 0 background, where the model separates objects itself.
        query: the model's internal object query, where it has such: two phrases with the same
            query got the same mask.
        truncated: the phrase was longer than the model reads.
        score: the model's own confidence, 0..1, where it states one.
        fell_back: memory did not suffice for the configured batch.
    """

    prob: np.ndarray
    objects: np.ndarray | None = None
    query: int | None = None
    truncated: bool = False
    score: float | None = None
    fell_back: bool = False


class PhraseModel(Protocol):
    """A model that answers phrases about a picture it has encoded."""

    def encode(self, image: np.ndarray) -> Any:
        """Encode a tile, uint8 (h, w, 3) RGB."""
        ...

    def answer(self, encoded: Any, phrases: Sequence[str]) -> list[PhraseAnswer]:
        """One answer per phrase, each independent of the others."""
        ...


class Batched(PhraseModel, Protocol):
    """A model that encodes several tiles at once."""

    tiles: int  # as many as it takes

    def encode_all(self, images: Sequence[np.ndarray]) -> list[Any]:
        """Encode up to `tiles` tiles of any sizes."""
        ...


@dataclasses.dataclass(frozen=True)
class ScaledPicture:
    """A picture and its scale; tiles are encoded when it is known what is asked."""

    image: np.ndarray
    mpp: float | None


@dataclasses.dataclass
class _Found:
    """What the tiles said about one prompt: a map per wording, objects, queries."""

    blends: list[Blend]
    objects: list[tuple[TileBox, np.ndarray]]
    queries: list[int | None]
    stated: list[float]
    truncated: bool = False
    fell_back: bool = False


class PhraseSegmenter(Segmenter):
    """Shows a model the picture at the scale each concept needs.

    Args:
        name: in the ledger.
        model: answers phrases.
        config: wordings, tiling, regions.
        wordings: phrases to use for a prompt, best first; the prompt's own when left out.
    """

    def __init__(
        self,
        name: str,
        model: PhraseModel,
        config: PhraseConfig,
        wordings: Callable[[Prompt], Sequence[str]] = lambda prompt: prompt.wordings,
    ):
        self.name = name
        self.model = model
        self.config = config
        self._wordings = wordings

    def supports(self, concept: str) -> bool:
        """True: any phrase gets an answer."""
        return True

    def encode(self, image: np.ndarray, mpp: float | None) -> ScaledPicture:
        """Keep the picture; see `ScaledPicture`."""
        return ScaledPicture(image, mpp)

    def segment(self, encoded: ScaledPicture, prompts: Sequence[Prompt]) -> list[Candidate]:
        """Answer each prompt, in order."""
        if encoded.mpp is not None or self.config.tiling.field == "whole":
            return self._at_scale(encoded.image, encoded.mpp, prompts)
        if self.config.tiling.scales_mpp:
            return self._at_best_scale(encoded.image, prompts)
        mpp = _scale_of_nuclei(encoded.image)
        answers = self._at_scale(encoded.image, mpp, prompts)
        return [
            dataclasses.replace(answer, scores={**answer.scores, "scale_mpp": mpp})
            for answer in answers
        ]

    def _at_best_scale(self, image: np.ndarray, prompts: Sequence[Prompt]) -> list[Candidate]:
        """Try several scales and keep the one whose masks agree best with the others'."""
        scales = self.config.tiling.scales_mpp
        tried = [self._at_scale(image, mpp, prompts) for mpp in scales]
        if len(tried) == 1:
            agreement = np.array([np.nan])
        else:
            agreement = np.array(
                [
                    np.mean(
                        [
                            iou(one.mask, another.mask)
                            for j, other in enumerate(tried)
                            if j != i
                            for one, another in zip(answers, other, strict=True)
                        ]
                    )
                    for i, answers in enumerate(tried)
                ]
            )
        best = int(np.argmax(agreement))
        scores = {"scale_mpp": float(scales[best]), "scale_agreement": float(agreement[best])}
        return [
            dataclasses.replace(answer, scores={**answer.scores, **scores})
            for answer in tried[best]
        ]

    def _at_scale(
        self, image: np.ndarray, mpp: float | None, prompts: Sequence[Prompt]
    ) -> list[Candidate]:
        by_side: dict[int, list[int]] = {}
        for i, prompt in enumerate(prompts):
            by_side.setdefault(self._side(image, mpp, prompt.concept), []).append(i)
        answers: dict[int, Candidate] = {}
        for side, indices in by_side.items():
            asked = [prompts[i] for i in indices]
            phrases = [self._phrases(prompt) for prompt in asked]
            found, shared = self._ask_tiles(image, side, phrases)
            for i, one, again in zip(indices, found, shared, strict=True):
                prompt = prompts[i]
                answer = self._candidate(prompt, self._phrases(prompt)[0], one, again, mpp)
                scores = {**answer.scores, "tile_px": float(side)}
                answers[i] = dataclasses.replace(answer, scores=scores)
        return [answers[i] for i in range(len(prompts))]

    def _phrases(self, prompt: Prompt) -> list[str]:
        return list(dict.fromkeys(self._wordings(prompt)))[: self.config.wordings]

    def _side(self, image: np.ndarray, mpp: float | None, concept: str) -> int:
        """Side of the tiles in px; at most the picture's longer side."""
        height, width = image.shape[:2]
        tiling = self.config.tiling
        # A sliver is no field of view at any scale.
        if tiling.field == "whole" or mpp is None or min(height, width) < SLIVER_PX:
            return max(height, width)
        wanted = tiling.field_um or field_um(concept)
        return side_px(height, width, max(16, round(wanted / mpp)), tiling)

    def _ask_tiles(
        self, image: np.ndarray, side: int, phrases: Sequence[Sequence[str]]
    ) -> tuple[list[_Found], list[float]]:
        """Ask every tile, each encoded once, for all wordings of all prompts.

        Returns:
            What was found per prompt, and the share of tiles in which its first wording matched
            the query of another prompt's first wording.
        """
        height, width = image.shape[:2]
        found = [
            _Found([Blend(height, width) for _ in wordings], [], [], []) for wordings in phrases
        ]
        flat = [phrase for wordings in phrases for phrase in wordings]
        shown = []
        for tile in grid(height, width, side, self.config.tiling.overlap):
            view = image[tile.at]
            if tissue_share(view) >= self.config.tiling.min_tissue:
                shown.append((tile, np.ascontiguousarray(view)))
                continue
            for one in found:
                for blend in one.blends:
                    blend.add(tile, np.zeros(view.shape[:2], np.float32))
        for tile, encoded in self._encoded(shown):
            answers = iter(self.model.answer(encoded, flat))
            for one in found:
                for j, blend in enumerate(one.blends):
                    answer = next(answers)
                    blend.add(tile, answer.prob)
                    one.truncated |= answer.truncated
                    one.fell_back |= answer.fell_back
                    if answer.score:
                        one.stated.append(answer.score)
                    if j == 0:
                        one.queries.append(answer.query)
                        if answer.objects is not None:
                            one.objects.append((tile, answer.objects))
        return found, _shared_queries(found)

    def _encoded(
        self, shown: Sequence[tuple[TileBox, np.ndarray]]
    ) -> Iterator[tuple[TileBox, Any]]:
        """Tiles and their encodings, as many at once as the model takes."""
        at_once = getattr(self.model, "tiles", 1)
        for start in range(0, len(shown), at_once):
            some = shown[start : start + at_once]
            if at_once == 1:
                yield some[0][0], self.model.encode(some[0][1])
            else:
                encoded = cast(Batched, self.model).encode_all([view for _, view in some])
                yield from zip((tile for tile, _ in some), encoded, strict=True)

    def _candidate(
        self, prompt: Prompt, phrase: str, found: _Found, shared: float, mpp: float | None
    ) -> Candidate:
        maps = [blend.result() for blend in found.blends]
        prob = maps[0] if len(maps) == 1 else np.mean(maps, axis=0, dtype=np.float32)
        known = concepts().get(prompt.concept)
        size_um = known.size_um if known else None
        mask, labels = to_region(prob, prompt.kind, self.config.regions, mpp, size_um)
        if found.objects and labels is not None:
            height, width = prob.shape
            labels = merge_labels(height, width, found.objects) * mask
            mask = labels > 0
        scores = {
            **_certainty(prob),
            "same_query": shared,
            "truncated": float(found.truncated),
            "fell_back": float(found.fell_back),
        }
        if len(maps) > 1:
            threshold = self.config.regions.threshold
            scores["wording_agreement"] = mean_pairwise_iou([m >= threshold for m in maps])
        if found.stated:
            confidence = float(np.mean(found.stated))
        else:
            confidence = float(prob[mask].mean() if mask.any() else prob.max(initial=0))
        reason = None if mask.any() else "empty"
        return Candidate(
            prompt.concept,
            phrase,
            mask if mask.any() else None,
            labels if mask.any() else None,
            min(1.0, confidence),
            reason,
            scores,
        )


def _scale_of_nuclei(image: np.ndarray) -> float:
    """Um per pixel of a picture, uint8 (H, W, 3), by the size of its nuclei."""
    density = colour.optical_density(image, colour.white_point(image))
    return scale.estimate(image, density[..., 0]).mpp


def _certainty(prob: np.ndarray) -> Mapping[str, float]:
    """The largest probability, and the mean of those from 128 / 255 on (0 where there are none).

    The second is BiomedParse's own first feature for its test of a mask.
    """
    inside = prob[prob >= 128 / 255]
    return {
        "max_probability": float(prob.max(initial=0)),
        "mean_probability": float(inside.mean()) if inside.size else 0.0,
    }


def _shared_queries(found: Sequence[_Found]) -> list[float]:
    """Share of tiles in which each prompt's query is also another prompt's."""
    shares = []
    for i, one in enumerate(found):
        again = [
            query is not None
            and any(other.queries[t] == query for j, other in enumerate(found) if j != i)
            for t, query in enumerate(one.queries)
        ]
        shares.append(float(np.mean(again)) if again else 0.0)
    return shares
