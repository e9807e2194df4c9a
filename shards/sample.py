"""The grounded sample: one caption, its mentions, and the masks they point to.

This is the one neutral truth of a run; exporters render every dialect from it. `GroundedSample` is
the published schema, `grounded_sample` builds a sample, `dump` gives its canonical bytes.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, NotRequired

import pyarrow as pa
import pydantic
from typing_extensions import TypedDict

from filters.scores import JUDGE, SCORES, VERDICT
from miner.core.rows import FactRow, Int64, Kind, NamedMention, Scale, TurnRow, published
from miner.core.unit import CANDIDATES
from ner.strata import DIMENSIONS, UNKNOWN

KEY = re.compile(r"[A-Za-z0-9_-]{1,90}")
IMAGE_FORMATS = ("jpg", "png")
# Score columns that become the dicts `clip`, `ks`, `geometry` of a region, without the prefix.
SCORE_GROUPS = ("clip", "ks", "geometry")
# Columns of a candidate that a region has elsewhere, or not.
PLACED = frozenset({*SCORES, *VERDICT, *CANDIDATES.names}) - JUDGE.keys()


@published
class Rle(TypedDict):
    """COCO compressed run-length encoding.

    Attributes:
        size: height and width of the picture, px.
        counts: run lengths as pycocotools writes them, down the columns.
    """

    size: Annotated[list[int], pydantic.Field(min_length=2, max_length=2)]
    counts: str


@published
class SampleMention(NamedMention):
    """A structure named in the caption.

    Attributes:
        regions: positions in `regions`; empty where no mask was kept.
        turn: position in `turns`; left out of plain captions.
    """

    regions: list[int]
    turn: NotRequired[Annotated[int, pydantic.Field(ge=0)]]


@published
class NamedScore(TypedDict):
    """A score under its name in the candidate ledger, so that new ones change no type.

    Attributes:
        name: of the column.
        value: as measured.
    """

    name: str
    value: float


def _numbers(group: str) -> pa.StructType:
    """Arrow type of the scores of a group, by their names without it."""
    names = sorted(n.removeprefix(f"{group}_") for n in SCORES if n.startswith(f"{group}_"))
    return pa.struct([(name, pa.float64()) for name in names])


@published
class Region(TypedDict):
    """The mask of one concept.

    Attributes:
        concept: canonical name of the structure.
        kind: object for countable things, stuff for a substance.
        asked_as: concept whose mask it is and as which it was judged, where that is another: the
            epithelial nuclei of tumor cells.
        rle: union of all of it in the picture.
        instances: single objects; empty for a substance.
        bbox: x1, y1, x2, y2 in px, end-exclusive.
        area_px: pixels of the mask.
        segmenter: name of who drew it.
        prompt: wording that was used.
        confidence: the segmenter's own, 0..1.
        score: probability that the mask has an IoU of .5 or more with the truth, 0..1.
        clip: agreement scores, names as in the candidate ledger without `clip_`.
        ks: KS scores, without `ks_`.
        geometry: sizes and shapes, without `geometry_`.
        biomedparse_p: BiomedParse's own score, null where it was not computed.
        scores: further scores that are defined: the segmenter's, a judge's, of other packages.
        q_value: expected share of wrong masks among those at least as good.
    """

    concept: str
    kind: Kind
    asked_as: NotRequired[str | None]
    rle: Rle
    instances: list[Rle]
    bbox: Annotated[list[int], pydantic.Field(min_length=4, max_length=4)]
    area_px: Annotated[Int64, pydantic.Field(gt=0)]
    segmenter: str
    prompt: str
    confidence: float | None
    score: float | None
    clip: Annotated[dict[str, float | None], _numbers("clip")]
    ks: Annotated[dict[str, float | None], _numbers("ks")]
    geometry: Annotated[dict[str, float | None], _numbers("geometry")]
    biomedparse_p: float | None
    scores: list[NamedScore]
    q_value: float | None


@published
class Negative(TypedDict):
    """Something that is not in the picture.

    Attributes:
        concept: canonical name of the structure.
        why: denied by the caption, searched for and not found, or impossible at the site.
        start: first character in the caption, null for a decoy.
        end: character behind the last, null for a decoy.
    """

    concept: str
    why: Literal["negated", "decoy", "site"]
    start: int | None
    end: int | None


@published
class GroundedSample(TypedDict):
    """`{key}.json` of a shard; every field is always there, but `turn` of a mention.

    Attributes:
        key: name of the sample and its members: the ledger's sample_id.
        corpus: name of the corpus.
        row: row number in the publisher's table, from 0.
        image: the picture's name as published.
        image_sha256: of the publisher's bytes.
        group: video, article, patient or slide; never straddles a split.
        license: of picture and caption.
        source: where the publisher has the row from.
        split: name of the split.
        caption: as published.
        turns: a dialogue, else empty.
        generated: the text was composed of what is outlined, and published by nobody.
        width: px.
        height: px.
        mpp: um per pixel, null when unknown.
        mpp_source: who says so.
        mentions: structures the caption names.
        regions: masks, each pointed to by a mention.
        negatives: what is not in the picture.
        facts: what the caption states about the picture.
        strata: such as `organ=kidney`.
        members: extensions of the side files in the tar.
    """

    key: Annotated[str, pydantic.Field(pattern=rf"^{KEY.pattern}$")]
    corpus: str
    row: Annotated[Int64, pydantic.Field(ge=0)]
    image: str
    image_sha256: str | None
    group: str
    license: str
    source: str
    split: str
    caption: str
    turns: list[TurnRow]
    generated: bool
    width: Annotated[int, pydantic.Field(gt=0)]
    height: Annotated[int, pydantic.Field(gt=0)]
    mpp: float | None
    mpp_source: Scale
    mentions: list[SampleMention]
    regions: list[Region]
    negatives: list[Negative]
    facts: list[FactRow]
    strata: list[str]
    members: list[str]


_CHECKED = pydantic.TypeAdapter(GroundedSample)


def check(data: bytes) -> None:
    """Raise pydantic.ValidationError where the JSON of a sample is not a `GroundedSample`."""
    _CHECKED.validate_json(data)


def grounded_sample(
    sample_row: Mapping[str, Any],
    image_row: Mapping[str, Any],
    candidate_rows: Iterable[Mapping[str, Any]],
    split: str,
    negatives: Sequence[Mapping[str, Any]],
    members: Sequence[str] = (),
) -> dict[str, Any]:
    """Build the grounded sample of one caption row.

    Args:
        sample_row: row of the samples table with `mentions`, and `facts` where there are any.
        image_row: row of the images table; its `data` is not used.
        candidate_rows: kept candidates of that image; of several for one concept the one with
            the best score stays, and those no affirmed mention points to are left out.
        split: name of the split.
        negatives: dicts with `concept`, `why` (negated, decoy, site), and `start`, `end` or None.
        members: extensions of side files that ride along.
    """
    height, width = int(image_row["height"]), int(image_row["width"])
    best = _best_by_concept(candidate_rows)
    regions: list[dict[str, Any]] = []
    place: dict[str, int] = {}
    mentions = []
    for m in sample_row.get("mentions") or ():
        concept = m["concept"]
        grounded = m["polarity"] == "affirmed" and m.get("groundable") is not False
        if grounded and concept in best and concept not in place:
            place[concept] = len(regions)
            regions.append(_region(best[concept], height, width))
        mentions.append(
            {
                "start": int(m["start"]),
                "end": int(m["end"]),
                "text": m["text"],
                "concept": concept,
                "kind": m["kind"],
                "polarity": m["polarity"],
                "sources": sorted(m.get("sources") or ()),
                "groundable": m.get("groundable") is not False,
                "reason": m.get("reason"),
                "regions": [place[concept]] if grounded and concept in place else [],
            }
            | ({} if m.get("turn") is None else {"turn": int(m["turn"])})
        )
    facts = [
        {
            "kind": f["kind"],
            "value": f["value"],
            "start": _int(f.get("start")),
            "end": _int(f.get("end")),
        }
        for f in sample_row.get("facts") or ()
    ]
    corpus = sample_row["corpus"]
    return {
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
        "generated": sample_row.get("told") is not None,
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
        "strata": strata(corpus, sample_row.get("strata") or ()),
        "members": sorted(members),
    }


def strata(corpus: str, found: Sequence[Mapping[str, Any]]) -> list[str]:
    """Sorted `dimension=value` names of the strata a sample belongs to, one per dimension.

    Args:
        corpus: name of the corpus.
        found: rows of `miner.core.unit.STRATUM`; what they do not say is `unknown`.
    """
    said = {s["dimension"]: s["value"] for s in found}
    names = [f"{dimension}={said.get(dimension) or UNKNOWN}" for dimension in DIMENSIONS]
    return sorted([f"corpus={corpus}", *names])


def dump(sample: Mapping[str, Any]) -> bytes:
    """Canonical bytes of a sample: sorted keys, no spaces, UTF-8; raises on NaN."""
    text = json.dumps(
        sample, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False
    )
    return text.encode()


def json_schema() -> dict[str, Any]:
    """The published JSON Schema of the sample."""
    schema = _CHECKED.json_schema()
    schema["title"] = "GroundedSample"
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _best_by_concept(rows: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    best: dict[str, Mapping[str, Any]] = {}
    for row in rows:
        if not row.get("counts"):
            continue
        other = best.get(row["concept"])
        if other is None or _rank(row) < _rank(other):
            best[row["concept"]] = row
    return best


def _rank(row: Mapping[str, Any]) -> tuple[float, float, str]:
    score, confidence = _float(row.get("score")), _float(row.get("confidence"))
    return (-(score or 0.0), -(confidence or 0.0), row["segmenter"])


def _region(row: Mapping[str, Any], height: int, width: int) -> dict[str, Any]:
    size = [height, width]
    return {
        "concept": row["concept"],
        "kind": row["kind"],
        "asked_as": row.get("asked_as"),
        "rle": {"size": size, "counts": row["counts"]},
        "instances": [{"size": size, "counts": c} for c in row.get("instances") or ()],
        "bbox": [int(v) for v in row["bbox"]],
        "area_px": int(row["area_px"]),
        "segmenter": row["segmenter"],
        "prompt": row["prompt"],
        "confidence": _float(row.get("confidence")),
        "score": _float(row.get("score")),
        **{group: _scores(row, group) for group in SCORE_GROUPS},
        "biomedparse_p": _float(row.get("biomedparse_p")),
        "scores": _others(row),
        "q_value": _float(row.get("q_value")),
    }


def _scores(row: Mapping[str, Any], group: str) -> dict[str, float | None]:
    prefix = f"{group}_"
    names = sorted(n for n in SCORES if n.startswith(prefix))
    return {n.removeprefix(prefix): _float(row.get(n)) for n in names}


def _others(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Scores that have no place of their own in a region, those that are defined."""
    names = sorted(n for n in row.keys() - PLACED if isinstance(row[n], float))
    return [{"name": n, "value": v} for n in names if (v := _float(row[n])) is not None]


def _float(value: Any) -> float | None:
    """Float of a number, so that JSON writes 1.0 and not 1; null for null and non-finite."""
    return None if value is None or not math.isfinite(value) else round(float(value), 6)


def _int(value: Any) -> int | None:
    return None if value is None else int(value)
