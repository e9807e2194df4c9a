"""The scoring stage: measures every candidate mask, decides nothing."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from pycocotools import mask as coco

from filters import biomedparse_ks, geometry, ks
from filters.batch import judged_as
from filters.config import FilterConfig
from filters.features import Pixels, is_grey
from filters.objects import Objects, components
from filters.objects import measure as measure_objects
from filters.protocol import Masked, Scorer
from filters.references import load_references
from filters.scores import CLIP, SCORES
from miner.core import beacon
from miner.core.errors import lacks_memory
from miner.core.parts import find
from miner.core.pixels import decode
from miner.core.rle import decode_labels
from miner.core.rows import AnsweredCandidate
from miner.core.unit import Stage, Unit
from ner.concepts import concepts

log = logging.getLogger(__name__)

DECIMALS = 6


@dataclasses.dataclass
class Scored:
    """What is measured of one candidate: defined scores, why others are not, its neighbours."""

    scores: dict[str, float] = dataclasses.field(default_factory=dict)
    notes: list[str] = dataclasses.field(default_factory=list)
    neighbors: geometry.Neighbors = dataclasses.field(default_factory=geometry.Neighbors)


class Score(Stage):
    """Add all scores to the candidates.

    A score that is not defined is null, and `notes` says why. Pictures are decoded once.

    Args:
        config: the settings.
        threads: threads of torch.

    Raises:
        Refused: a model, reference or table cannot be read.
    """

    requires: ClassVar[Mapping[str, Sequence[str]]] = {
        "images": ("image_id", "data", "mpp"),
        "candidates": (
            *("image_id", "concept", "kind", "asked_as", "roles", "prompt", "segmenter"),
            *("counts", "instances"),
        ),
    }
    adds: ClassVar[Mapping[str, Sequence[str]]] = {
        "candidates": (*SCORES, "overlap_with", "inside_of", "notes"),
    }

    def __init__(self, config: FilterConfig, threads: int = 1):
        self.config = config
        self.concepts = concepts()
        self.references = load_references(config.references)
        self.table = (
            biomedparse_ks.load_table(config.biomedparse_table)
            if config.biomedparse_table
            else None
        )
        self.clip = None
        if config.clip is not None:
            from filters.clip import ClipAgreement

            self.clip = ClipAgreement(config.clip, threads)
        self.judge = None
        if config.judge is not None:
            from filters.judge import Judge

            self.judge = Judge(config.judge)
        self.more: list[tuple[str, Scorer]] = [
            (one.kind, find("scores", one.kind).build(one, threads)) for one in config.scores
        ]
        self.names = {**SCORES, **config.columns()}

    def __call__(self, unit: Unit) -> Unit:
        """Return the unit with scores."""
        # Of the segmenters' own scores BiomedParse's test takes one, where they have it.
        wanted = {*self.requires["candidates"], "mean_probability"}
        columns = [c for c in unit.candidates.column_names if c in wanted]
        rows = unit.candidates.select(columns).to_pylist()
        by_image: dict[str, list[int]] = {}
        for i, row in enumerate(rows):
            by_image.setdefault(row["image_id"], []).append(i)
        results = [Scored() for _ in rows]
        for i, image_id in enumerate(unit.images["image_id"].to_pylist()):
            data = unit.images["data"][i].as_py()
            if data is None:
                continue
            beacon.at(image_id)
            try:
                image = decode(data)
            except ValueError as error:
                log.warning("%s: %s", image_id, error)
                continue
            mpp = unit.images["mpp"][i].as_py()
            mine = by_image.get(image_id, [])
            scored = self.score_image(image, mpp, [rows[j] for j in mine])
            for j, result in zip(mine, scored, strict=True):
                results[j] = result
        return unit.with_columns("candidates", self.columns(results), self.names)

    def summary(self) -> dict[str, Any]:
        """Return `counts` and `missing` of the judge, where one is asked."""
        return {} if self.judge is None else self.judge.summary()

    def score_image(
        self,
        image: np.ndarray,
        mpp: float | None,
        rows: Sequence[AnsweredCandidate],
        alone: bool = False,
    ) -> list[Scored]:
        """Measure the candidates of one picture.

        Args:
            image: uint8 (H, W, 3), RGB.
            mpp: um per pixel, None when unknown.
            rows: of a unit; each is measured as what it was answered as.
            alone: do not compare the masks with each other.
        """
        results = [Scored() for _ in rows]
        names = [row["concept"] for row in rows]
        judged = [judged_as(row) for row in rows]
        rows = [
            {**row, "concept": concept, "kind": kind}
            for row, (concept, kind) in zip(rows, judged, strict=True)
        ]
        size = image.shape[:2]
        rles = [_rle(row["counts"], size) for row in rows]
        masks = [None if rle is None else coco.decode(rle).astype(bool) for rle in rles]
        if not any(mask is not None for mask in masks):
            return results
        labels = [
            None if mask is None else _labels(mask, row["instances"], row["kind"])
            for mask, row in zip(masks, rows, strict=True)
        ]
        neighbors = geometry.compare_masks(
            names,
            [row["segmenter"] for row in rows],
            [not alone and "positive" in (row["roles"] or ()) for row in rows],
            rles,
            self.concepts,
            [row["concept"] for row in rows],
        )
        pixels = Pixels(image, mpp)
        grey = is_grey(image)
        support = 0.0 if grey else ks.support(pixels, self.references)
        for i, (row, mask, label) in enumerate(zip(rows, masks, labels, strict=True)):
            if mask is None or label is None:
                continue
            result = results[i]
            result.neighbors = neighbors[i]
            objects = measure_objects(label)
            self._measure(result, row, image, pixels, mask, objects, mpp)
            result.scores["ks_support"] = support
            if self.more:
                self._measure_more(result, Masked(image, mpp, mask, label, *judged_as(row)))
            if grey:
                result.notes.append("ks: grey picture, no stain")
        self._agree(image, rows, masks, labels, results)
        if self.judge is not None:
            self.judge.score(image, rows, masks, results)
        return results

    def columns(self, results: Sequence[Scored]) -> dict[str, pa.Array]:
        """Columns of `candidates` that hold what was measured."""
        columns: dict[str, pa.Array] = {
            name: pa.array([_plain(r.scores.get(name)) for r in results], pa.float64())
            for name in self.names
        }
        columns["overlap_with"] = pa.array([r.neighbors.overlap_with for r in results], pa.string())
        columns["inside_of"] = pa.array([r.neighbors.inside_of for r in results], pa.string())
        columns["notes"] = pa.array([r.notes for r in results], pa.list_(pa.string()))
        return columns

    def _measure(
        self,
        result: Scored,
        row: AnsweredCandidate,
        image: np.ndarray,
        pixels: Pixels,
        mask: np.ndarray,
        objects: Objects,
        mpp: float | None,
    ) -> None:
        """Geometry and KS of one mask."""
        near = result.neighbors
        result.scores |= geometry.measure_mask(mask, objects, mpp)
        if near.overlap is not None:
            result.scores["geometry_overlap"] = near.overlap
        if near.inside is not None:
            result.scores["geometry_inside"] = near.inside
        if mpp is None:
            result.notes.append("geometry: um per pixel unknown, sizes undefined")
        measured = ks.measure(
            pixels,
            mask,
            objects if row["kind"] == "object" else None,
            row["concept"],
            mpp,
            self.references,
        )
        result.scores |= measured.scores
        result.notes += measured.notes
        if self.table is not None:
            self._biomedparse(result, row, image, mask)

    def _measure_more(self, result: Scored, masked: Masked) -> None:
        """Scores of parts; one that fails costs its own values."""
        for kind, scorer in self.more:
            try:
                result.scores |= scorer(masked)
            except Exception as error:  # whatever somebody else's code raises
                if lacks_memory(error):
                    raise  # a bigger machine would have given a value
                log.warning("%s: %s", kind, error)
                result.notes.append(f"{kind}: failed with {type(error).__name__}")

    def _biomedparse(
        self, result: Scored, row: Mapping[str, Any], image: np.ndarray, mask: np.ndarray
    ) -> None:
        assert self.table is not None
        probability = row.get("mean_probability")
        concept = self.concepts.get(row["concept"])
        if probability is None:
            result.notes.append(f"biomedparse: {row['segmenter']} gives no pixel probabilities")
            return
        value = np.array([probability * 255, *image[mask].mean(axis=0, dtype=float)]) / 256
        p = biomedparse_ks.score(value, concept.biomedparse if concept else (), self.table)
        if p is None:
            result.notes.append(f"biomedparse: no target for {row['concept']} in the table")
        else:
            result.scores["biomedparse_p"] = p

    def _agree(
        self,
        image: np.ndarray,
        rows: Sequence[AnsweredCandidate],
        masks: Sequence[np.ndarray | None],
        labels: Sequence[np.ndarray | None],
        results: Sequence[Scored],
    ) -> None:
        """CLIP agreement of all candidates of a picture, in one call."""
        if self.clip is None:
            return
        found = self.clip.scores(
            image,
            [
                (r["concept"], r["kind"], m, la if r["kind"] == "object" else None, r["roles"])
                for r, m, la in zip(rows, masks, labels, strict=True)
            ],
        )
        for result, mask, judgement in zip(results, masks, found, strict=True):
            if mask is None:
                continue
            if judgement["reason"]:
                result.notes.append(f"clip: {judgement['reason']}")
            for name in CLIP:
                value = judgement.get(name.removeprefix("clip_"))
                if isinstance(value, float):
                    result.scores[name] = value


def _rle(counts: str | None, size: tuple[int, ...]) -> dict[str, Any] | None:
    return None if counts is None else {"size": list(size), "counts": counts.encode("ascii")}


def _labels(mask: np.ndarray, instances: Sequence[str] | None, kind: str) -> np.ndarray:
    """Label map int32 (H, W): the single objects, or the connected parts of a region."""
    if kind != "object" or not instances:
        return components(mask)
    return decode_labels(instances, mask.shape)


def _plain(value: float | None) -> float | None:
    """Rounded as stored; NaN and infinity stay, the verdict names them."""
    return None if value is None else round(float(value), DECIMALS)
