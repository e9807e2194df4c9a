"""The grounded sample: one caption, its mentions, and the masks they point to.

This is the one neutral truth of a run; exporters render every dialect from it. `GroundedSample` is
the published schema, `dump` gives its canonical bytes; `shards.build` makes samples.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, NotRequired

import pyarrow as pa
import pydantic
from typing_extensions import TypedDict

from filters.scores import SCORES
from miner.core.rows import FactRow, Int64, Kind, NamedMention, Scale, TurnRow, published

KEY = re.compile(r"[A-Za-z0-9_-]{1,90}")
IMAGE_FORMATS = ("jpg", "png")
# States of a concept.
State = Literal["present", "absent", "unknown"]
PRESENT: State = "present"
ABSENT: State = "absent"
UNKNOWN: State = "unknown"


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
class CountRange(TypedDict):
    """How many objects there are: the true number is in the interval 9 times of 10 or more.

    Attributes:
        low: fewest.
        n: those that the region has.
        high: most.
    """

    low: Annotated[int, pydantic.Field(ge=0)]
    n: Annotated[int, pydantic.Field(ge=0)]
    high: Annotated[int, pydantic.Field(ge=0)]


@published
class KnownConcept(TypedDict):
    """What is known of a concept that the caption names or a segmenter was asked for.

    Attributes:
        concept: canonical name of the structure.
        state: present: a region stands for it; absent: denied and not found, or a decoy that was
            searched and not found where it is known to be found, or in an organ that cannot have
            it; all else is unknown.
        p: probability that it is in the picture given the best answer, at even odds before;
            null where no segmenter answered, or how often it misses the concept was not measured.
        why: of present, region; of absent, negated or decoy; of unknown, the reason why its mask
            was not kept or why it was not asked, uncertain (the caption is in doubt), found (denied
            or a decoy, but something was found), missed (likewise, nothing was found, but this is
            missed too often for that to tell), kin (a kind, part or whole of something that is
            there), at_home (a decoy that the organ may well show), unmeasured (a decoy that was not
            found, but nobody knows how often it is missed), affirmed_elsewhere and denied_elsewhere
            (by another caption of the picture).
    """

    concept: str
    state: State
    p: float | None
    why: str


@published
class IgnoredMask(TypedDict):
    """A mask that did not stand up: where nothing should be learned of its concept.

    Attributes:
        concept: canonical name of the structure.
        rle: union of all of it in the picture.
        reason: why it was not kept.
        score: probability that the mask has an IoU of .5 or more with the truth, 0..1.
    """

    concept: str
    rle: Rle
    reason: str
    score: float | None


@published
class SlidePlace(TypedDict):
    """Where the picture lies on its slide.

    Attributes:
        id: of the slide, as published.
        x: left edge of the picture, px of level 0.
        y: upper edge, likewise.
        level: of the slide's pyramid that the picture was read from.
        mpp: um per pixel of that level, null when unknown.
    """

    id: str
    x: Int64
    y: Int64
    level: Annotated[int, pydantic.Field(ge=0)]
    mpp: float | None


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
        exhaustive: probability that it is all of the concept in the picture: 80% of the pixels
            and, of objects, 90% of them (half or more of an object's pixels); null where that was
            not measured. Left out of shards of format 1, as `exhaustive_why`, `count`, `count_why`.
        exhaustive_why: why it is null.
        count: how many objects there are, null where that cannot be said.
        count_why: why it is null.
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
    exhaustive: NotRequired[float | None]
    exhaustive_why: NotRequired[str | None]
    count: NotRequired[CountRange | None]
    count_why: NotRequired[str | None]


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
class AlsoCaption(TypedDict):
    """A caption of a copy of the picture that was dropped.

    Attributes:
        sample_id: of the dropped row, in the ledger.
        caption: as published.
    """

    sample_id: str
    caption: str


@published
class GroundedSample(TypedDict):
    """`{key}.json` of a shard; every field but one, and `turn` of mentions, is always there.

    Shards of format 1 lack `concepts`, `ignored`, `slide` and what regions have since; some lack
    `generated` and `generated_from`.

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
        caption: as published, up to `generated_from`.
        turns: a dialogue, else empty.
        generated: some of the caption was composed of what is outlined, and published by nobody.
        generated_from: first character of that, null where all of the caption was published.
        width: px.
        height: px.
        mpp: um per pixel, null when unknown.
        mpp_source: who says so: `stated` by a side column, `assumed` by the configuration.
        mentions: structures the caption names.
        regions: masks, each pointed to by a mention.
        negatives: what is not in the picture.
        concepts: what is known of everything that was named or asked for.
        ignored: masks that did not stand up, with `shards.keep_ignored`.
        slide: where the picture lies on its slide, null when unknown.
        also_captions: captions of dropped copies; only there with `shards.also_captions`.
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
    generated: NotRequired[bool]
    generated_from: NotRequired[int | None]
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
    concepts: NotRequired[list[KnownConcept]]
    ignored: NotRequired[list[IgnoredMask]]
    slide: NotRequired[SlidePlace | None]
    also_captions: NotRequired[list[AlsoCaption]]


ON_REQUEST = frozenset({"also_captions"})  # fields that a setting adds
_CHECKED = pydantic.TypeAdapter(GroundedSample)
_CANONICAL = json.JSONEncoder(
    sort_keys=True,
    ensure_ascii=False,
    separators=(",", ":"),
    allow_nan=False,
    check_circular=False,  # a sample is a tree
)


def check(data: bytes) -> None:
    """Raise pydantic.ValidationError where the JSON of a sample is not a `GroundedSample`."""
    _CHECKED.validate_json(data)


def concepts_in(sample: Mapping[str, Any], state: str) -> list[str]:
    """Concepts of a sample in a state, sorted."""
    return sorted(c["concept"] for c in sample["concepts"] if c["state"] == state)


def dump(sample: Mapping[str, Any]) -> bytes:
    """Canonical bytes of a sample: sorted keys, no spaces, UTF-8; raises on NaN."""
    return _CANONICAL.encode(sample).encode()


@functools.cache
def json_schema() -> dict[str, Any]:
    """The published JSON Schema of the sample."""
    schema = _CHECKED.json_schema()
    schema["title"] = "GroundedSample"
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
