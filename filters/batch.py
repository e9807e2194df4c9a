"""The candidates of a run as arrays, which verdicts are found by and fitted on."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from filters.scores import OWN, SCORES
from miner.core.rows import AnsweredCandidate, Kind
from ner.concepts import concepts
from ner.families import family

CONFIDENCE = "confidence"
# Of a tissue that fills its picture these say how the picture was cut, not whether the mask is
# right.
FRAME = frozenset({"geometry_area_fraction", "geometry_outline_fraction"})


@dataclasses.dataclass
class Batch:
    """The candidates of a run as parallel arrays of length n.

    Attributes:
        columns: every score, `OWN`, those of parts, `confidence` and `area_px`: float64, NaN where
            undefined.
        damaged: bool, a stored score is NaN or infinite.
        image: object, image_id.
        concept: object, as the captions name it.
        judged: object, the concept that the mask was answered as, which it is judged as.
        kind: object, "object" or "stuff", of `judged`.
        family: object, of `judged`, see `ner.families`.
        segmenter: object.
        given: object, the segmenter's own reason or None.
        positive: bool, some caption affirms it.
        decoy: bool, asked as a decoy only.
        trusted: bool, the truth: filters measure it and never reject it.
        complete: bool, all of the concept that there is in the picture.
        has_mask: bool.
    """

    columns: dict[str, np.ndarray]
    damaged: np.ndarray
    image: np.ndarray
    concept: np.ndarray
    judged: np.ndarray
    kind: np.ndarray
    family: np.ndarray
    segmenter: np.ndarray
    given: np.ndarray
    positive: np.ndarray
    decoy: np.ndarray
    trusted: np.ndarray
    complete: np.ndarray
    has_mask: np.ndarray


def read_batch(candidates: pa.Table) -> Batch:
    """Turn a table (`miner.core.unit.CANDIDATES` and scores, in any order) into arrays."""
    columns, damaged = _scores(candidates)
    image, concept, kind, segmenter, given = (
        np.array(candidates[name].to_pylist(), object)
        for name in ("image_id", "concept", "kind", "segmenter", "reason")
    )
    roles = [set(r or ()) for r in candidates["roles"].to_pylist()]
    table = concepts()
    judged, kind = _judged(candidates, concept, kind)
    pairs = list(zip(judged, kind, strict=True))
    families = {pair: family(table.get(pair[0]), pair[1]) for pair in sorted(set(pairs))}
    unmarked = np.array([reason is None for reason in given], bool)
    return Batch(
        columns=columns,
        damaged=damaged,
        image=image,
        concept=concept,
        judged=judged,
        kind=kind,
        family=np.array([families[pair] for pair in pairs], object),
        segmenter=segmenter,
        given=given,
        positive=np.array(["positive" in r for r in roles], bool),
        decoy=np.array([r - {"trusted", "complete"} == {"decoy"} for r in roles], bool),
        trusted=np.array(["trusted" in r for r in roles], bool),
        complete=np.array(["complete" in r for r in roles], bool),
        has_mask=(columns["area_px"] > 0) & unmarked,
    )


def judged_as(row: AnsweredCandidate) -> tuple[str, Kind]:
    """Concept and kind that a candidate is judged as: what it was answered as."""
    return _judged_as(row["concept"], row["kind"], row.get("asked_as"))


def _judged_as(concept: str, kind: Kind, asked_as: str | None) -> tuple[str, Kind]:
    known = concepts().get(asked_as) if asked_as else None
    return (concept, kind) if known is None else (known.name, known.kind)


def _judged(
    candidates: pa.Table, concept: np.ndarray, kind: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """`judged_as` of every candidate, object (n,) each."""
    if "asked_as" not in candidates.column_names:
        return concept, kind
    names = candidates["asked_as"].to_pylist()
    found = [_judged_as(c, k, a) for c, k, a in zip(concept, kind, names, strict=True)]
    return np.array([c for c, _ in found], object), np.array([k for _, k in found], object)


def model_scores(batch: Batch, names: Sequence[str], segmenters: Sequence[str]) -> np.ndarray:
    """Scores that the models use, float64 (n, f); what unseen segmenters say themselves is NaN."""
    x = np.stack([batch.columns[name] for name in names], axis=1)
    unseen = ~np.isin(batch.segmenter.astype(str), segmenters)
    own = np.isin(names, [CONFIDENCE, *OWN])
    x[np.ix_(unseen, own)] = np.nan
    return x


def without_frame(
    scores: np.ndarray, names: Sequence[str], batch: Batch, filled_from: float | None
) -> np.ndarray:
    """The scores, those of `FRAME` undefined where a tissue fills its picture: float64 (n, f).

    Args:
        scores: float64 (n, f).
        names: of the scores.
        batch: the candidates.
        filled_from: share of the picture from which on a tissue fills it; None: nothing does.
    """
    if filled_from is None:
        return scores
    fills = (batch.kind == "stuff") & (batch.columns["geometry_area_fraction"] >= filled_from)
    x = scores.copy()
    x[np.ix_(fills, np.isin(names, sorted(FRAME)))] = np.nan
    return x


def _scores(candidates: pa.Table) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Scores as float64 with NaN for null, and which rows hold a NaN or infinity of their own."""
    damaged = np.zeros(candidates.num_rows, bool)
    columns: dict[str, np.ndarray] = {}
    numbers = (f.name for f in candidates.schema if pa.types.is_float64(f.type))
    for name in dict.fromkeys((*SCORES, *OWN, CONFIDENCE, "area_px", *numbers)):
        if name not in candidates.column_names:
            columns[name] = np.full(candidates.num_rows, np.nan)
            continue
        column = candidates[name].combine_chunks()
        values = column.cast(pa.float64()).to_numpy(zero_copy_only=False).astype(float)
        damaged |= ~np.isfinite(values) & column.is_valid().to_numpy(zero_copy_only=False)
        columns[name] = np.where(np.isinf(values), np.nan, values)
    return columns, damaged
