"""The segmenting stage: what is asked of every picture, and what the segmenters answer."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from miner.core import beacon
from miner.core.masks import bbox, encode
from miner.core.pixels import decode, stated_size
from miner.core.rle import encode_labels
from miner.core.rows import AskRow, FactRow, MentionRow
from miner.core.unit import ASK, CANDIDATES, Stage, Unit, described
from segmenters import registry
from segmenters.ask import ask_all, refusals
from segmenters.asks import asks, diagnoses_of, site_of
from segmenters.config import RefineConfig, SegmentConfig
from segmenters.ensemble import with_agreement
from segmenters.panels import letters_of, within
from segmenters.protocol import Candidate, Given, Prompt

if TYPE_CHECKING:
    from segmenters.refine import Refiner

log = logging.getLogger(__name__)


class Segment(Stage):
    """Ask every segmenter for every structure the captions name.

    Each picture is decoded once and encoded once per segmenter, however many captions and
    phrases it has. Every question leaves a row in `candidates`, also where there is no mask.

    Args:
        config: which segmenters, how many decoys.
        threads: threads of torch and OpenCV; results do not depend on how many workers run.
        keep_negatives: also ask about pictures whose captions only deny things.

    Raises:
        Refused: a segmenter's model is missing or does not fit.
    """

    requires: ClassVar[Mapping[str, Sequence[str]]] = {
        "samples": ("image_id", "caption", "mentions", "facts", "status"),
        "images": ("image_id", "data", "mpp", "given", "panels"),
    }
    adds: ClassVar[Mapping[str, Sequence[str]]] = {
        "images": ("asks", "drawn_px"),
        "candidates": tuple(CANDIDATES.names),
    }

    def __init__(self, config: SegmentConfig, threads: int = 1, keep_negatives: bool = False):
        self.config = config
        self.keep_negatives = keep_negatives
        self.segmenters = registry.build(config, threads)
        if not any(one.searches for one in self.segmenters):
            self.config = config.model_copy(update={"decoys": 0})
        self.refine = _refiner(config.refine)
        self.looks = self.refine is not None or any(one.searches for one in self.segmenters)
        self.columns = config.columns()

    def __call__(self, unit: Unit) -> Unit:
        """Return the unit with `asks` on its images and its candidates."""
        captions = _captions_by_image(unit.samples)
        all_asks: list[list[AskRow]] = []
        rows: list[dict[str, Any]] = []
        drawn_px: list[int | None] = []
        mpps = unit.images["mpp"].to_pylist()
        outlined = unit.images["given"].to_pylist()
        panels = unit.images["panels"].to_pylist()
        for i, image_id in enumerate(unit.images["image_id"].to_pylist()):
            mentions, facts = captions.get(image_id, ([], []))
            asked = self._asks(mentions, facts, image_id)
            all_asks.append(asked)
            drawn_px.append(None)
            if asked:
                beacon.at(image_id)
                data = unit.images["data"][i].as_py()
                site, diagnoses = site_of(facts), diagnoses_of(facts)
                given = {
                    one["concept"]: Given(tuple(one["counts"]), one["apart"], one["complete"])
                    for one in outlined[i] or ()
                }
                prompts = [
                    Prompt(
                        a["concept"],
                        a["kind"],
                        tuple(a["wordings"]),
                        site,
                        diagnoses,
                        given.get(a["concept"]),
                    )
                    for a in asked
                ]
                answered, drawn_px[-1] = self._answers(data, mpps[i], prompts, image_id)
                if panels[i]:
                    letters = letters_of(_texts(unit.samples, image_id))
                    answered = [
                        (name, [within(one, panels[i], letters) for one in answers])
                        for name, answers in answered
                    ]
                for segmenter, answers in answered:
                    rows += [
                        _row(image_id, ask, segmenter, answer)
                        for ask, answer in zip(asked, answers, strict=True)
                    ]
        columns = {
            "asks": pa.array(all_asks, pa.list_(ASK)),
            "drawn_px": pa.array(drawn_px, pa.int64()),
        }
        unit = unit.with_columns("images", columns)
        return Unit(unit.samples, unit.images, self._table(rows))

    def _asks(
        self, mentions: list[MentionRow], facts: list[FactRow], image_id: str
    ) -> list[AskRow]:
        if not mentions:
            return []
        found = asks(mentions, facts, self._supported, self.config, image_id)
        if self.keep_negatives or any("positive" in ask["roles"] for ask in found):
            return found
        return []

    def _supported(self, concept: str) -> bool:
        return any(s.searches and s.supports(concept) for s in self.segmenters)

    def _answers(
        self, data: bytes | None, mpp: float | None, prompts: Sequence[Prompt], image_id: str
    ) -> tuple[list[tuple[str, list[Candidate]]], int | None]:
        """A list of candidates per segmenter, each as long as `prompts`, and pixels of figures."""
        names = [segmenter.name for segmenter in self.segmenters]
        try:
            image = self._pixels(data or b"")
        except ValueError as error:
            log.warning("%s: unreadable: %s", image_id, error)
            return [(name, refusals(prompts, reason="unreadable")) for name in names], None
        answers, drawn = ask_all(self.segmenters, image, mpp, prompts, image_id)
        if self.refine is not None:
            answers = self.refine(image, answers)
        return list(zip(names, with_agreement(answers), strict=True)), int(drawn.sum())

    def _pixels(self, data: bytes) -> np.ndarray:
        """A picture; a black one of its size where nobody looks at it, which costs nothing.

        Raises:
            ValueError: it is none.
        """
        height, width = (0, 0) if self.looks else stated_size(data)
        if not height or not width:
            return decode(data)
        return np.broadcast_to(np.uint8(0), (height, width, 3))

    def _table(self, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
        named = {name for row in rows for name in row["scores"]}
        names = sorted({*self.columns, *named} - set(CANDIDATES.names))
        arrays = [pa.array([row[f.name] for row in rows], f.type) for f in CANDIDATES]
        table = pa.Table.from_arrays(arrays, schema=CANDIDATES)
        for name in names:
            values = [row["scores"].get(name) for row in rows]
            field = described(pa.field(name, pa.float64()), self.columns)
            table = table.append_column(field, pa.array(values, pa.float64()))
        return table


def _refiner(config: RefineConfig | None) -> Refiner | None:
    if config is None:
        return None
    from segmenters.refine import Refiner

    return Refiner(config)


def _texts(samples: pa.Table, image_id: str) -> list[tuple[str, list[MentionRow]]]:
    """Captions of a picture that are still in play, each with its mentions."""
    mine = samples.filter(pc.equal(samples["image_id"], image_id))
    rows = mine.select(["status", "caption", "mentions"]).to_pylist()
    return [(r["caption"] or "", r["mentions"] or []) for r in rows if r["status"] is None]


def _captions_by_image(
    samples: pa.Table,
) -> dict[str, tuple[list[MentionRow], list[FactRow]]]:
    """Mentions and facts of the captions still in play, by image."""
    found: dict[str, tuple[list[MentionRow], list[FactRow]]] = {}
    columns = [n for n in ("image_id", "status", "mentions", "facts") if n in samples.column_names]
    for row in samples.select(columns).to_pylist():
        if row["status"] is None:
            mentions, facts = found.setdefault(row["image_id"], ([], []))
            mentions += row["mentions"] or []
            facts += row.get("facts") or []
    return found


def _standing(answer: Candidate) -> list[str]:
    """Roles that the answer has by itself."""
    standing = {"trusted": answer.trusted, "complete": answer.complete}
    return [name for name, holds in standing.items() if holds]


def _row(image_id: str, ask: AskRow, segmenter: str, answer: Candidate) -> dict[str, Any]:
    mask = answer.mask if answer.mask is not None and answer.mask.any() else None
    instances = answer.instances if mask is not None else None
    if mask is not None and answer.labels is not None and instances is None:
        instances = tuple(encode_labels(answer.labels))
    scores = {k: float(v) for k, v in answer.scores.items() if np.isfinite(v)}
    return {
        "image_id": image_id,
        "concept": ask["concept"],
        "kind": ask["kind"],
        "roles": sorted({*ask["roles"], *_standing(answer)}),
        "asked_as": answer.asked_as,
        "prompt": answer.prompt,
        "segmenter": segmenter,
        "counts": None if mask is None else answer.counts or encode(mask),
        "instances": list(instances or ()),
        "bbox": list(bbox(mask)) if mask is not None else None,
        "area_px": int(mask.sum()) if mask is not None else 0,
        "confidence": float(np.nan_to_num(answer.confidence, nan=0.0)),
        "reason": answer.reason or ("empty" if mask is None else None),
        "scores": scores,
    }
