"""Counterfactual agreement of a region with a phrase.

A bare cosine between a region and a phrase says little: it moves with the stain, the picture and
the phrase. So the cosine is compared with what it would be if something were otherwise: another
place (the complement, random regions of the same shape, shifted masks) or another phrase (siblings
in the concept table, concepts that nobody asked for).
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from filters.clip import comparison, counterfactuals
from filters.clip.config import ClipConfig
from filters.clip.encoder import Encoder, load
from ner.concepts import concepts

SCORES: Mapping[str, str] = {
    "cosine": "cosine of region and phrase, -1..1",
    "prob": "softmax share of the phrase among itself, its siblings and absent ones, 0..1",
    "margin_sibling": "cosine above that of the best sibling phrase",
    "margin_absent": "cosine above the mean of absent phrases",
    "rank": "share of the sibling phrases that the phrase beats, 0..1",
    "margin_complement": "cosine above that of the rest of the picture",
    "margin_random": "cosine above the mean of regions of the same shape elsewhere",
    "margin_shifted": "cosine above the mean of the mask moved by half an object",
    "instance_median": "median over single objects of the cosine above the best sibling phrase",
    "instance_worst": "smallest of these",
}

BLANK = 2.0  # deviation of the channel values below which a picture shows nothing

Candidate = tuple[str, str, np.ndarray | None, np.ndarray | None, Sequence[str]]
Judgement = dict[str, float | str | None]


@dataclasses.dataclass
class _Views:
    """What is to be encoded of one candidate: weights on the grid, in this order."""

    region: np.ndarray
    complement: np.ndarray
    random: list[np.ndarray]
    shifted: list[np.ndarray]
    instances: list[np.ndarray]

    def all(self) -> list[np.ndarray]:
        return [self.region, self.complement, *self.random, *self.shifted, *self.instances]


class ClipAgreement:
    """Scores of candidate masks against their phrases.

    Args:
        config: the settings.
        threads: threads of the forward passes.
        encoder: taken instead of the model that the configuration names.

    Raises:
        Refused: the model cannot be loaded.
    """

    def __init__(
        self, config: ClipConfig, threads: int = 1, encoder: Encoder | None = None
    ) -> None:
        self.config = config
        self.encoder: Encoder = encoder if encoder is not None else load(config, threads)
        self._phrases: dict[str, np.ndarray] = {}
        self._known = frozenset(name for name in concepts() if self.encoder.judged_as(name) == name)

    def scores(self, image: np.ndarray, candidates: Sequence[Candidate]) -> list[Judgement]:
        """Judge all candidates of one picture.

        Args:
            image: uint8 (H, W, 3), RGB.
            candidates: (concept, kind, mask bool (H, W) or None, labels int (H, W) or None, roles).

        Returns:
            One dict per candidate, in order: every name of `SCORES` as a float or None, and
            "reason", which says why all are None: "no_mask", "too_small", "fills_picture",
            "blank_picture", "unknown_concept", or None; and "judged_as", the concept whose phrases
            were taken. A score whose comparison does not exist (no siblings, no other place of the
            same shape, no single objects) is None on its own.
        """
        asked = [candidate[0] for candidate in candidates]
        blank = float(image.std()) < BLANK
        names = [self.encoder.judged_as(concept) for concept in asked]
        found = [
            self._undefined(image, blank, candidate[2])
            or ("unknown_concept" if name is None else None)
            for candidate, name in zip(candidates, names, strict=True)
        ]
        judged = [(i, n) for i, n in enumerate(names) if n is not None and found[i] is None]
        out: list[Judgement] = [
            {**dict.fromkeys(SCORES), "reason": reason, "judged_as": name}
            for reason, name in zip(found, names, strict=True)
        ]
        if not judged:
            return out
        absent = comparison.absent(asked, sorted(self._known), self.config.absent_phrases)
        dense = self.encoder.dense(image) if self.config.regions == "dense" else None
        views = [self._views(image, candidates[i], dense) for i, _ in judged]
        embeddings = self._encode(image, dense, [one for view in views for one in view.all()])
        start = 0
        for (i, name), view in zip(judged, views, strict=True):
            stop = start + len(view.all())
            out[i].update(self._judge(name, absent, view, embeddings[start:stop]))
            start = stop
        return out

    def phrase(self, concept: str) -> np.ndarray:
        """Embedding of a concept: mean over its wordings in every template, float32 (d,)."""
        if concept not in self._phrases:
            texts = comparison.fill(self.config.templates, comparison.wordings(concept))
            mean = self.encoder.texts(texts).mean(axis=0)
            self._phrases[concept] = mean / max(float(np.linalg.norm(mean)), 1e-12)
        return self._phrases[concept]

    def _undefined(self, image: np.ndarray, blank: bool, mask: np.ndarray | None) -> str | None:
        if mask is None or not mask.any():
            return "no_mask"
        if mask.shape != image.shape[:2]:
            raise ValueError(f"mask of shape {mask.shape} for a picture of {image.shape[:2]}")
        area = int(np.count_nonzero(mask))
        if area < self.config.min_area_px:
            return "too_small"
        if area > self.config.max_area_fraction * mask.size:
            return "fills_picture"
        return "blank_picture" if blank else None

    def _views(self, image: np.ndarray, candidate: Candidate, dense: np.ndarray | None) -> _Views:
        concept, kind, mask, labels, _ = candidate
        assert mask is not None
        height, width = mask.shape
        grid = (height, width) if dense is None else (dense.shape[0], dense.shape[1])
        weights = mask if dense is None else counterfactuals.grid_weights(mask, grid)
        ids = np.unique(labels[labels > 0]) if labels is not None and kind == "object" else []
        most = self.config.max_instances
        if len(ids) > most:
            ids = np.asarray(ids)[np.linspace(0, len(ids) - 1, most).round().astype(int)]
        single: list[np.ndarray] = []
        if len(ids) and labels is not None:
            if dense is None:
                single = [labels == one for one in ids]
            else:
                single = list(counterfactuals.instance_weights(labels, list(ids), grid))
        area = float(weights.sum()) / max(1, len(ids))
        key = f"{self.config.seed}\n{concept}\n{np.count_nonzero(mask)}".encode()
        rng = np.random.default_rng(int.from_bytes(hashlib.sha256(key).digest()[:8], "big"))
        return _Views(
            region=weights,
            complement=~mask if dense is None else 1.0 - weights,
            random=counterfactuals.random_regions(weights, self.config.random_regions, rng),
            shifted=counterfactuals.shifted_regions(weights, float(np.sqrt(area / np.pi))),
            instances=[one for one in single if one.any()],
        )

    def _encode(
        self, image: np.ndarray, dense: np.ndarray | None, views: list[np.ndarray]
    ) -> np.ndarray:
        if dense is not None:
            return self.encoder.regions(dense, views)
        config, out = self.config, []
        for start in range(0, len(views), config.batch_size):
            crops = [
                counterfactuals.crop(
                    image, view, self.encoder.crop_px, config.context, config.outside
                )
                for view in views[start : start + config.batch_size]
            ]
            squares, masks = (np.stack(part) for part in zip(*crops, strict=True))
            out.append(self.encoder.crops(squares, masks))
        return np.concatenate(out)

    def _judge(
        self, concept: str, absent: Sequence[str], view: _Views, embeddings: np.ndarray
    ) -> dict[str, float | None]:
        phrase = self.phrase(concept)
        rivals = [name for name in comparison.siblings(concept) if name in self._known]
        others = [self.phrase(name) for name in rivals[: self.config.sibling_phrases]]
        away = [self.phrase(name) for name in absent]
        cosines = embeddings @ phrase
        region, own = embeddings[0], float(cosines[0])
        cuts = np.cumsum([1, 1, len(view.random), len(view.shifted)])
        random, shifted = cosines[cuts[1] : cuts[2]], cosines[cuts[2] : cuts[3]]
        scores: dict[str, float | None] = {
            "cosine": own,
            "margin_complement": own - float(cosines[1]),
            "margin_random": own - float(random.mean()) if len(random) else None,
            "margin_shifted": own - float(shifted.mean()),
        }
        if away:
            scores["margin_absent"] = own - float(np.mean(np.stack(away) @ region))
        if others:
            sibling = np.stack(others)
            against = sibling @ region
            scores["margin_sibling"] = own - float(against.max())
            scores["rank"] = float(np.mean(against < own))
            single = embeddings[cuts[3] :]
            if len(single):
                gap = single @ phrase - (single @ sibling.T).max(axis=1)
                scores["instance_median"] = float(np.median(gap))
                scores["instance_worst"] = float(gap.min())
        if others or away:
            logits = self.encoder.logit_scale * (np.stack([*others, *away]) @ region - own)
            scores["prob"] = float(1.0 / (1.0 + np.exp(np.minimum(logits, 60.0)).sum()))
        return scores
