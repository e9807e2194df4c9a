"""What an audit draws from: every mask of a finished OUT once, with the stratum it belongs to."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import pyarrow.compute as pc

from miner.commits import marks, read_table
from miner.core.store import Store
from miner.report.ledger import ledger_table
from ner.concepts import concepts
from ner.families import family

By = Literal["concept", "corpus", "stratum"]
COLUMNS = [
    *("sample_id", "concept", "kind", "segmenter", "keep", "reason", "score", "q_value"),
    *("area_px", "bbox", "span"),
]


@dataclasses.dataclass(frozen=True, slots=True)
class Mask:
    """One mask of the run: of one concept in one picture, whatever number of captions name it.

    Attributes:
        item: 16 hexadecimal digits, of corpus, picture, concept and segmenter.
        sample_id: of the first caption that names it.
        corpus: name of the corpus.
        image: the picture's name as published.
        group: video, article, patient or slide; masks of one group err together.
        concept: canonical name.
        family: cell, structure, clear or tissue.
        stratum: what the sample is spread over: the concept, the corpus or the organ.
        kept: whether it is in the shards.
        score: the decision's probability that it is right, None where there is none.
        reason: why it was not kept, None for kept ones.
        segmenter: who drew it.
        q_value: expected share of wrong masks among those at least as good, None where unknown.
        box: x1, y1, x2, y2 in px, end-exclusive.
        span: characters of the caption that name it, end-exclusive.
        asked_as: concept whose mask it is and as which it was judged, None for its own.
    """

    item: str
    sample_id: str
    corpus: str
    image: str
    group: str
    concept: str
    family: str
    stratum: str
    kept: bool
    score: float | None
    reason: str | None
    segmenter: str
    q_value: float | None
    box: tuple[int, ...]
    span: tuple[int, ...]
    asked_as: str | None = None


def population(store: Store, by: By) -> list[Mask]:
    """Every mask that a caption affirms, kept ones and rejected ones, sorted by item.

    A mask that several captions of a picture name counts once, and as kept when one of them is in
    the shards with it. Masks that were accepted but not written (duplicates, caps) are left out:
    nobody trains on them and no filter threw them away.

    Args:
        store: a finished OUT.
        by: what strata are.
    """
    columns = ["sample_id", "corpus", "image", "group", "status"]
    rows = {r["sample_id"]: r for r in ledger_table(store, "samples", columns).to_pylist()}
    candidates = ledger_table(store, "candidates", [*COLUMNS, "polarity"], ["asked_as"])
    drawn = pc.and_(
        pc.equal(candidates["polarity"], "affirmed"), pc.greater(candidates["area_px"], 0)
    )
    organs = _organs(store) if by == "stratum" else {}
    table = concepts()
    found: dict[str, Mask] = {}
    for one in candidates.filter(drawn).sort_by("sample_id").to_pylist():
        row = rows[one["sample_id"]]
        if one["keep"] and row["status"] != "written":
            continue
        name = "\0".join((row["corpus"], row["image"], one["concept"], one["segmenter"]))
        item = hashlib.sha256(name.encode()).hexdigest()[:16]
        if item in found and (found[item].kept or not one["keep"]):
            continue
        strata = {
            "concept": one["concept"],
            "corpus": row["corpus"],
            "stratum": organs.get(one["sample_id"], "unknown"),
        }
        found[item] = Mask(
            item=item,
            sample_id=one["sample_id"],
            corpus=row["corpus"],
            image=row["image"],
            group=row["group"] or row["image"],
            concept=one["concept"],
            family=family(table.get(one["concept"]), one["kind"]),
            stratum=strata[by],
            kept=bool(one["keep"]),
            score=one["score"],
            reason=None if one["keep"] else one["reason"],
            segmenter=one["segmenter"],
            q_value=one["q_value"],
            box=tuple(one["bbox"]),
            span=tuple(one["span"]),
            asked_as=one.get("asked_as"),
        )
    return [found[item] for item in sorted(found)]


def _organs(store: Store) -> dict[str, str]:
    return {
        sample["sample_id"]: s["value"]
        for sample in _samples(store)
        for s in sample["strata"] or ()
        if s["dimension"] == "organ"
    }


def _samples(store: Store) -> Iterator[Mapping[str, Any]]:
    for mark in marks(store).values():
        yield from read_table(store, mark, "samples", ["sample_id", "strata"]).to_pylist()
