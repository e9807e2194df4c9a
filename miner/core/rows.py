"""Rows that go from room to room, and the Arrow types that follow from them.

A row of a table is a dict; what its columns are called and hold stands here once, and `schema` and
`struct` make the Arrow types of it: int32, double and string, where `Annotated` names no other. A
column is null where it is not defined; `None` stands where the code meets that.
"""

from __future__ import annotations

import types
import typing
from typing import Annotated, Any, Literal, NotRequired, Required

import pyarrow as pa
import pydantic
from typing_extensions import TypedDict, is_typeddict  # pydantic reads no other before 3.12

Kind = Literal["object", "stuff"]
Polarity = Literal["affirmed", "negated", "uncertain"]
# Who says how large a pixel is.
Scale = Literal["slide", "magnification", "stated", "assumed", "none"]
Int64 = Annotated[int, pa.int64()]

_ARROW: dict[Any, pa.DataType] = {
    str: pa.string(),
    int: pa.int32(),
    float: pa.float64(),
    bool: pa.bool_(),
}

# Of rows that are published in shards: nothing else, no other types, no NaN.
published = pydantic.with_config({"extra": "forbid", "strict": True, "allow_inf_nan": False})


class NamedMention(TypedDict):
    """What units and shards say of a structure that the caption names.

    Attributes:
        start: first character in the caption, or in the turn.
        end: character behind the last.
        text: as the caption spells it.
        concept: canonical name of the structure.
        kind: object for countable things, stuff for a substance.
        polarity: affirmed, negated or uncertain, as the caption says.
        sources: who found it: lexicon, llm, scispacy; expert or verified in a composed text.
        groundable: whether a mask may be asked for.
        reason: why not, else null.
    """

    start: Annotated[int, pydantic.Field(ge=0)]
    end: Annotated[int, pydantic.Field(gt=0)]
    text: str
    concept: str
    kind: Kind
    polarity: Polarity
    sources: list[str]
    groundable: bool
    reason: str | None


class MentionRow(NamedMention):
    """A structure that a caption names.

    Attributes:
        votes: `source:polarity` per extractor, sorted.
        turn: position in `turns`, null for a plain caption.
    """

    votes: list[str]
    turn: int | None


@published
class FactRow(TypedDict):
    """What the caption states about the picture.

    Attributes:
        kind: site, stain, magnification, diagnosis, specimen, ...
        value: its canonical name.
        start: first character in the caption, null when it is from elsewhere.
        end: character behind the last, null likewise.
    """

    kind: str
    value: str
    start: int | None
    end: int | None


class StratumRow(TypedDict):
    """A value by which runs are balanced and counted.

    Attributes:
        dimension: organ, stain, ...
        value: canonical name.
        start: first character in the caption, null for a side column.
        end: character behind the last, null likewise.
        origin: caption, or the side column's name.
    """

    dimension: str
    value: str
    start: int | None
    end: int | None
    origin: str


class GivenRow(TypedDict):
    """What the publisher's experts outlined of a concept in a picture.

    Attributes:
        concept: canonical name.
        apart: whether each of the counts is one object.
        complete: whether all of the picture was looked at for it.
        counts: COCO compressed RLE; none where experts saw none of it.
    """

    concept: str
    apart: bool
    complete: bool
    counts: list[str]


class PanelRow(TypedDict):
    """A panel of a compound figure.

    Attributes:
        letter: A, B, ... in reading order.
        box: x1, y1, x2, y2 in px, end-exclusive.
    """

    letter: str
    box: list[int]


class AskRow(TypedDict):
    """What the segmenters are asked about a picture.

    Attributes:
        concept: canonical name.
        kind: object for countable things, stuff for a substance.
        roles: positive, negated or decoy, sorted.
        wordings: phrases to prompt with, best first.
    """

    concept: str
    kind: Kind
    roles: list[str]
    wordings: list[str]


@published
class TurnRow(TypedDict):
    """One turn of a dialogue.

    Attributes:
        role: who speaks.
        text: what is said.
    """

    role: str
    text: str


class PlannedSample(TypedDict):
    """A caption row, as the plan has it.

    Attributes:
        sample_id: {corpus}-{row:08d}-{6 hex of image name and caption}.
        corpus: its name in the configuration, else its kind.
        row: row number in the publisher's table, from 0.
        image: name as published; PathGen: {wsi_id}_{x}_{y}.
        image_id: {corpus}/{image}, joins `images`.
        group: video, article, patient or slide: never straddles a split.
        license: as the publisher or the configuration states it.
        source: where the publisher has the row from.
        caption: as published.
        turns: a dialogue.
        meta: JSON object with the publisher's side columns.
        told: what a composed text names; null for a published one.
        generated_from: first character of the caption that was composed; null for a published one.
        notes: what failed without stopping the row: llm:timeout, ...
        status: null while the row is in play.
        reason: why, for rows with a status.
    """

    sample_id: str
    corpus: str
    row: Int64
    image: str
    image_id: str
    group: str
    license: str
    source: str
    caption: str
    turns: list[TurnRow] | None
    meta: str
    told: list[MentionRow] | None
    generated_from: int | None
    notes: list[str] | None
    status: str | None
    reason: str | None


class SampleRow(PlannedSample):
    """A caption row with what the stages appended.

    Attributes:
        strata: organ, stain, ... and the span each was read from.
        mentions: structures the caption names.
        facts: site, stain, ... as the caption states them.
    """

    strata: list[StratumRow] | None
    mentions: list[MentionRow] | None
    facts: list[FactRow] | None


class PlannedImage(TypedDict):
    """A distinct picture, as it is read.

    Attributes:
        image_id: {corpus}/{image}.
        data: the publisher's bytes, null when unreadable.
        format: jpg or png.
        width: px.
        height: px.
        mpp: um per pixel of the stored picture, null when unknown.
        mpp_source: slide, magnification, stated, assumed or none.
        sha256: of the publisher's bytes, hexadecimal.
        given: what the publisher's experts outlined; null without any.
        panels: those of a compound figure; null where none were looked for.
    """

    image_id: str
    data: Annotated[bytes, pa.large_binary()]
    format: str
    width: int
    height: int
    mpp: float | None
    mpp_source: Scale
    sha256: str | None
    given: list[GivenRow] | None
    panels: list[PanelRow] | None


class ImageRow(PlannedImage):
    """A distinct picture with what the stages appended.

    Attributes:
        asks: what the segmenters were asked.
        drawn_px: pixels of arrows, bars and letters; null where none was asked.
        embedding: compared to find semantic duplicates.
        thumbnail: 64 x 64 ranks of absorbed light, to find near ones.
        pixel_hash: of the decoded pixels, to find exact ones.
    """

    asks: list[AskRow] | None
    drawn_px: Int64 | None
    embedding: list[Annotated[float, pa.float32()]] | None
    thumbnail: Annotated[bytes, pa.binary(4096)] | None
    pixel_hash: str | None


class StoredImage(ImageRow):
    """A distinct picture of a committed unit.

    Attributes:
        data_bytes: length of `data`, 0 where none is stored.
    """

    data_bytes: Int64


class AnsweredCandidate(TypedDict):
    """A segmenter's answer about a concept in a picture.

    Attributes:
        image_id: joins `images`.
        concept: canonical name of the structure asked for.
        kind: object for countable things, stuff for a substance.
        asked_as: concept whose mask it is and as which it is judged, if another.
        roles: positive, negated or decoy, and trusted where it is the truth, complete where that is
            all of it; sorted.
        prompt: the wording that was used.
        segmenter: its name.
        counts: COCO compressed RLE of the union, null when there is no mask.
        instances: counts per single object; empty for stuff.
        bbox: x1, y1, x2, y2, end-exclusive.
        area_px: pixels of the mask, 0 without one.
        confidence: the segmenter's own, 0..1.
        reason: set early when there is no mask: empty, unsupported, ...
    """

    image_id: str
    concept: str
    kind: Kind
    asked_as: str | None
    roles: list[str]
    prompt: str
    segmenter: str
    counts: str | None
    instances: list[str]
    bbox: list[int] | None
    area_px: Int64
    confidence: float | None
    reason: str | None


class CandidateRow(AnsweredCandidate):
    """An answer with what the filters appended beside its scores.

    Attributes:
        overlap_with: concept of the mask that `geometry_overlap` is with.
        inside_of: concept that `geometry_inside` is measured in.
        notes: why scores are undefined.
    """

    overlap_with: str | None
    inside_of: str | None
    notes: list[str] | None


class JudgedCandidate(CandidateRow):
    """A candidate with its verdict (`filters.scores.VERDICT`) and extent (`filters.scores.EXTENT`).

    Scores are further keys.

    Attributes:
        score: probability that the mask has an IoU of .5 or more with the truth, 0..1.
        calibration: whose labelled data the score comes from: concept:NAME, family:NAME or global.
        q_value: expected share of wrong masks among those at least as good, 0..1.
        failed: first filter that the mask failed, whatever its role.
        keep: whether the mask stands up to all filters.
        presence: probability that the concept is in the picture, null where nobody answered or
            how often the segmenter misses the concept was not measured.
        exhaustive: probability that the mask is all of it.
        exhaustive_why: why that cannot be said.
        count_low: fewest objects that there are.
        count_high: most objects that there are.
        count_why: why that cannot be said.
    """

    score: float | None
    calibration: str | None
    q_value: float | None
    failed: str | None
    keep: bool
    presence: float | None
    exhaustive: float | None
    exhaustive_why: str | None
    count_low: Int64 | None
    count_high: Int64 | None
    count_why: str | None


def schema(row: type) -> pa.Schema:
    """Arrow schema of a table whose rows are of this kind."""
    return pa.schema(list(struct(row)))


def struct(row: type) -> pa.StructType:
    """Arrow type of rows of this kind inside a column."""
    hints = typing.get_type_hints(row, include_extras=True)
    return pa.struct([(name, arrow_type(hint)) for name, hint in hints.items()])


def arrow_type(hint: Any) -> pa.DataType:
    """Arrow type of an annotation: the one that `Annotated` names, else that of what it holds.

    Raises:
        KeyError: no column holds such values.
    """
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        named = [one for one in args[1:] if isinstance(one, pa.DataType)]
        return named[0] if named else arrow_type(args[0])
    if origin in (Required, NotRequired):
        return arrow_type(args[0])
    if origin in (types.UnionType, typing.Union):
        (defined,) = (arg for arg in args if arg is not types.NoneType)
        return arrow_type(defined)
    if origin is Literal:
        return pa.string()
    if origin is list:
        return pa.list_(arrow_type(args[0]))
    return struct(hint) if is_typeddict(hint) else _ARROW[hint]
