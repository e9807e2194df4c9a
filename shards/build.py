"""A grounded sample from what a run stored of a caption, of its picture and of the kept masks."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from filters.scores import EXTENT, JUDGE, SCORES, VERDICT
from miner.core.rows import FactRow, ImageRow, JudgedCandidate, SampleRow, StratumRow
from miner.core.unit import CANDIDATES
from ner.strata import DIMENSIONS
from ner.strata import UNKNOWN as UNSTATED
from shards.sample import (
    AlsoCaption,
    CountRange,
    GroundedSample,
    IgnoredMask,
    KnownConcept,
    NamedScore,
    Negative,
    Region,
    Rle,
    SampleMention,
    SlidePlace,
)

# Side columns of a publisher that say on which slide a picture lies, the first that is there.
SLIDE_ID = ("wsi_id", "slide_id", "slide")
# Columns of a candidate that a region has elsewhere, or not.
PLACED = frozenset({*SCORES, *VERDICT, *EXTENT, *CANDIDATES.names}) - JUDGE.keys()


def grounded_sample(
    sample_row: SampleRow,
    image_row: ImageRow,
    candidate_rows: Iterable[JudgedCandidate],
    split: str,
    negatives: Sequence[Negative],
    members: Sequence[str] = (),
    concepts: Sequence[KnownConcept] = (),
    rejected: Sequence[JudgedCandidate] = (),
    also: Sequence[AlsoCaption] | None = None,
) -> GroundedSample:
    """Build the grounded sample of one caption row.

    Args:
        sample_row: of the samples table; columns that a run without the stage lacks may be missing.
        image_row: of the images table, likewise; its `data` is not used.
        candidate_rows: kept candidates of that image; of several for one concept the one with
            the best score stays, and those no affirmed mention points to are left out.
        split: name of the split.
        negatives: what is not in the picture.
        members: extensions of side files that ride along.
        concepts: what is known of each.
        rejected: candidates with a mask that are to be kept as ignored areas.
        also: captions of dropped copies; None: nobody asked for them.
    """
    height, width = int(image_row["height"]), int(image_row["width"])
    best = _best_by_concept(candidate_rows)
    regions: list[Region] = []
    place: dict[str, int] = {}
    mentions: list[SampleMention] = []
    for m in sample_row.get("mentions") or ():
        concept = m["concept"]
        asked = m["polarity"] == "affirmed" and m.get("groundable") is not False
        if asked and concept in best and concept not in place:
            place[concept] = len(regions)
            regions.append(_region(best[concept], height, width))
        mention: SampleMention = {
            "start": int(m["start"]),
            "end": int(m["end"]),
            "text": m["text"],
            "concept": concept,
            "kind": m["kind"],
            "polarity": m["polarity"],
            "sources": sorted(m.get("sources") or ()),
            "groundable": m.get("groundable") is not False,
            "reason": m.get("reason"),
            "regions": [place[concept]] if asked and concept in place else [],
        }
        if (turn := m.get("turn")) is not None:
            mention["turn"] = int(turn)
        mentions.append(mention)
    facts: list[FactRow] = [
        {
            "kind": f["kind"],
            "value": f["value"],
            "start": _int(f.get("start")),
            "end": _int(f.get("end")),
        }
        for f in sample_row.get("facts") or ()
    ]
    corpus = sample_row["corpus"]
    grounded: GroundedSample = {
        "key": sample_row["sample_id"],
        "corpus": corpus,
        "row": int(sample_row["row"]),
        "image": sample_row["image"],
        "image_sha256": image_row.get("sha256"),
        "group": sample_row.get("group") or "",
        "license": sample_row.get("license") or "",
        "source": sample_row.get("source") or "",
        "split": split,
        "caption": sample_row.get("caption") or "",
        "turns": [{"role": t["role"], "text": t["text"]} for t in sample_row.get("turns") or ()],
        "generated": sample_row.get("generated_from") is not None,
        "generated_from": sample_row.get("generated_from"),
        "width": width,
        "height": height,
        "mpp": _float(image_row.get("mpp")),
        "mpp_source": image_row.get("mpp_source") or "none",
        "mentions": mentions,
        "regions": regions,
        "negatives": [
            {
                "concept": n["concept"],
                "why": n["why"],
                "start": _int(n.get("start")),
                "end": _int(n.get("end")),
            }
            for n in negatives
        ],
        "facts": facts,
        "strata": strata_of(corpus, sample_row.get("strata") or ()),
        "members": sorted(members),
        "concepts": [{**c, "p": _float(c["p"])} for c in concepts],
        "ignored": [_ignored(row, height, width) for row in rejected],
        "slide": _slide(sample_row, image_row),
    }
    if also is not None:
        grounded["also_captions"] = list(also)
    return grounded


def strata_of(corpus: str, found: Sequence[StratumRow]) -> list[str]:
    """Sorted `dimension=value` names of the strata a sample belongs to, one per dimension.

    Args:
        corpus: name of the corpus.
        found: values read from the caption or its side columns; others are `unknown`.
    """
    said = {s["dimension"]: s["value"] for s in found}
    names = [f"{dimension}={said.get(dimension) or UNSTATED}" for dimension in DIMENSIONS]
    return sorted([f"corpus={corpus}", *names])


def _best_by_concept(rows: Iterable[JudgedCandidate]) -> dict[str, JudgedCandidate]:
    best: dict[str, JudgedCandidate] = {}
    for row in rows:
        if not row.get("counts"):
            continue
        other = best.get(row["concept"])
        if other is None or _rank(row) < _rank(other):
            best[row["concept"]] = row
    return best


def _rank(row: JudgedCandidate) -> tuple[float, float, str]:
    score, confidence = _float(row.get("score")), _float(row.get("confidence"))
    return (-(score or 0.0), -(confidence or 0.0), row["segmenter"])


def _region(row: JudgedCandidate, height: int, width: int) -> Region:
    size = [height, width]
    if row["bbox"] is None:
        raise ValueError(f"{row['image_id']}: {row['concept']} has no box")
    return {
        "concept": row["concept"],
        "kind": row["kind"],
        "asked_as": row.get("asked_as"),
        "rle": _rle(row, size),
        "instances": [{"size": size, "counts": c} for c in row.get("instances") or ()],
        "bbox": [int(v) for v in row["bbox"]],
        "area_px": int(row["area_px"]),
        "segmenter": row["segmenter"],
        "prompt": row["prompt"],
        "confidence": _float(row.get("confidence")),
        "score": _float(row.get("score")),
        "clip": _scores(row, "clip"),
        "ks": _scores(row, "ks"),
        "geometry": _scores(row, "geometry"),
        "biomedparse_p": _float(row.get("biomedparse_p")),
        "scores": _others(row),
        "q_value": _float(row.get("q_value")),
        "exhaustive": _float(row.get("exhaustive")),
        "exhaustive_why": row.get("exhaustive_why"),
        "count": _count(row),
        "count_why": row.get("count_why"),
    }


def _rle(row: JudgedCandidate, size: list[int]) -> Rle:
    if row["counts"] is None:
        raise ValueError(f"{row['image_id']}: {row['concept']} has no mask")
    return {"size": size, "counts": row["counts"]}


def _count(row: JudgedCandidate) -> CountRange | None:
    """Interval of the number of objects, those of the region among them."""
    n = len(row.get("instances") or ())
    low, high = row.get("count_low"), row.get("count_high")
    if low is None or high is None or not n:
        return None
    return {"low": min(int(low), n), "n": n, "high": max(int(high), n)}


def _ignored(row: JudgedCandidate, height: int, width: int) -> IgnoredMask:
    return {
        "concept": row["concept"],
        "rle": _rle(row, [height, width]),
        "reason": row.get("failed") or row["reason"] or "unnamed",
        "score": _float(row.get("score")),
    }


def _slide(sample_row: SampleRow, image_row: ImageRow) -> SlidePlace | None:
    """Place on the slide, from the publisher's side columns; None where they do not tell it."""
    meta = json.loads(sample_row.get("meta") or "{}")
    name = next((meta[k] for k in SLIDE_ID if isinstance(meta.get(k), str) and meta[k]), None)
    x, y, level = (_whole(meta.get(k)) for k in ("x", "y", "level"))
    if name is None or x is None or y is None:
        return None
    known = image_row.get("mpp_source") == "slide"
    mpp = _float(image_row.get("mpp")) if known else None
    return {"id": name, "x": x, "y": y, "level": max(level or 0, 0), "mpp": mpp}


def _whole(value: Any) -> int | None:
    """A whole number from a number or its text, None from anything else."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return int(number) if number.is_integer() else None


def _scores(row: JudgedCandidate, group: str) -> dict[str, float | None]:
    values: Mapping[str, Any] = row
    return {short: _float(values.get(name)) for name, short in _names_of(group)}


@functools.cache
def _names_of(group: str) -> list[tuple[str, str]]:
    """Columns of a group of scores, and their names in a region."""
    prefix = f"{group}_"
    return [(n, n.removeprefix(prefix)) for n in sorted(SCORES) if n.startswith(prefix)]


def _others(row: JudgedCandidate) -> list[NamedScore]:
    """Scores that have no place of their own in a region, those that are defined."""
    values: Mapping[str, Any] = row
    names = [n for n in _not_placed(tuple(row)) if isinstance(values[n], float)]
    return [{"name": n, "value": v} for n in names if (v := _float(values[n])) is not None]


@functools.lru_cache(maxsize=64)
def _not_placed(columns: tuple[str, ...]) -> list[str]:
    return sorted(set(columns) - PLACED)


def _float(value: Any) -> float | None:
    """Float of a number, so that JSON writes 1.0 and not 1; null for null and non-finite."""
    return None if value is None or not math.isfinite(value) else round(float(value), 6)


def _int(value: Any) -> int | None:
    return None if value is None else int(value)
