"""The work unit: the three Arrow tables that walk through the pipeline, and what a stage is.

A unit holds some dozen captions. Its three tables are relational: `samples` has one row per
input caption row, `images` one row per distinct picture of those captions, `candidates` one row per
(picture, concept, segmenter). Stages only add: rows of `samples` are never removed, a row that can
go no further gets a `status` and a `reason`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol

import pyarrow as pa

STATUSES = (
    "written",
    "duplicate",
    "no_entity",
    "no_mask",
    "rejected",
    "unreadable",
    "excluded",
)

# Rows that name nothing to outline, yet may be written for their negatives.
SILENT_REASONS = frozenset({"only_negated", "finding"})

STRATUM = pa.struct(
    [
        ("dimension", pa.string()),  # organ, stain, ...
        ("value", pa.string()),  # canonical name
        ("start", pa.int32()),  # characters into the caption; null: side column
        ("end", pa.int32()),  # end-exclusive
        ("origin", pa.string()),  # caption, or the side column's name
    ]
)

MENTION = pa.struct(
    [
        ("start", pa.int32()),  # characters into the caption (or the turn)
        ("end", pa.int32()),  # end-exclusive
        ("text", pa.string()),  # as the caption spells it
        ("concept", pa.string()),  # canonical name
        ("kind", pa.string()),  # object | stuff
        ("polarity", pa.string()),  # affirmed | negated | uncertain
        ("sources", pa.list_(pa.string())),  # lexicon, scispacy, llm
        ("votes", pa.list_(pa.string())),  # "source:polarity", sorted
        ("groundable", pa.bool_()),  # whether a mask may be asked for
        ("reason", pa.string()),  # why it is not groundable, else null
        ("turn", pa.int32()),  # index into turns, null for a plain caption
    ]
)

FACT = pa.struct(
    [
        ("kind", pa.string()),  # site, stain, magnification, diagnosis, specimen, ...
        ("value", pa.string()),  # canonical name
        ("start", pa.int32()),  # characters into the caption
        ("end", pa.int32()),  # end-exclusive
    ]
)

ASK = pa.struct(
    [
        ("concept", pa.string()),  # canonical name
        ("kind", pa.string()),  # object | stuff
        ("roles", pa.list_(pa.string())),  # positive | negated | decoy, sorted
        ("wordings", pa.list_(pa.string())),  # phrases to prompt with, best first
    ]
)

SAMPLES = pa.schema(
    [
        ("sample_id", pa.string()),  # {corpus}-{row:08d}-{6 hex of image name and caption}
        ("corpus", pa.string()),  # its name in the configuration, else its kind
        ("row", pa.int64()),  # row number in the publisher's table, from 0
        ("image", pa.string()),  # name as published; PathGen: {wsi_id}_{x}_{y}
        ("image_id", pa.string()),  # {corpus}/{image}, joins `images`
        ("group", pa.string()),  # video, article, patient or slide: never straddles a split
        ("license", pa.string()),  # as the publisher or the configuration states it
        ("source", pa.string()),  # where the publisher has the row from
        ("caption", pa.string()),  # as published
        ("turns", pa.list_(pa.struct([("role", pa.string()), ("text", pa.string())]))),  # dialogue
        ("meta", pa.string()),  # JSON object with the publisher's side columns
        ("status", pa.string()),  # null while the row is in play
        ("reason", pa.string()),  # why, for rows with a status
    ]
)

IMAGES = pa.schema(
    [
        ("image_id", pa.string()),  # {corpus}/{image}
        ("data", pa.large_binary()),  # the publisher's bytes, null when unreadable
        ("format", pa.string()),  # jpg | png
        ("width", pa.int32()),  # px
        ("height", pa.int32()),  # px
        ("mpp", pa.float64()),  # um per pixel of the stored picture, null when unknown
        ("mpp_source", pa.string()),  # slide | magnification | assumed | none
        ("sha256", pa.string()),  # of the publisher's bytes, hexadecimal
    ]
)

CANDIDATES = pa.schema(
    [
        ("image_id", pa.string()),  # joins `images`
        ("concept", pa.string()),  # canonical name of the structure asked for
        ("kind", pa.string()),  # object | stuff
        ("asked_as", pa.string()),  # concept whose mask it is and as which it is judged, if another
        ("roles", pa.list_(pa.string())),  # positive | negated | decoy, sorted
        ("prompt", pa.string()),  # the wording that was used
        ("segmenter", pa.string()),  # its name
        ("counts", pa.string()),  # COCO compressed RLE of the union, null when there is no mask
        ("instances", pa.list_(pa.string())),  # counts per single object; empty for stuff
        ("bbox", pa.list_(pa.int32())),  # x1, y1, x2, y2, end-exclusive
        ("area_px", pa.int64()),  # pixels of the mask, 0 without one
        ("confidence", pa.float64()),  # the segmenter's own, 0..1
        ("reason", pa.string()),  # set early when there is no mask: empty, unsupported, ...
    ]
)

# What the stages append to these.
SAMPLES_ADDED = pa.schema(
    [
        ("strata", pa.list_(STRATUM)),  # organ, stain, ... and the span each was read from
        ("mentions", pa.list_(MENTION)),  # structures the caption names
        ("facts", pa.list_(FACT)),  # site, stain, ... as the caption states them
        ("notes", pa.list_(pa.string())),  # what failed without stopping the row: llm:timeout, ...
    ]
)
IMAGES_ADDED = pa.schema(
    [
        ("asks", pa.list_(ASK)),  # what the segmenters were asked
        ("drawn_px", pa.int64()),  # pixels of arrows, bars and letters; null where none was asked
        ("embedding", pa.list_(pa.float32())),  # compared to find semantic duplicates
        ("thumbnail", pa.binary(4096)),  # 64 x 64 ranks of absorbed light, to find near ones
        ("pixel_hash", pa.string()),  # of the decoded pixels, to find exact ones
    ]
)
CANDIDATES_ADDED = pa.schema(
    [
        ("overlap_with", pa.string()),  # concept of the mask that `geometry_overlap` is with
        ("inside_of", pa.string()),  # concept that `geometry_inside` is measured in
        ("notes", pa.list_(pa.string())),  # why scores are undefined
    ]
)


def described(field: pa.Field, meanings: Mapping[str, str]) -> pa.Field:
    """The field with its meaning, by its name, as the metadata `description`."""
    said = meanings.get(field.name)
    return field if said is None else field.with_metadata({"description": said})


@dataclasses.dataclass(frozen=True)
class Unit:
    """Three tables that belong together; see the module docstring.

    Attributes:
        samples: one row per caption row (`SAMPLES` and what stages added).
        images: one row per distinct picture (`IMAGES` and what stages added).
        candidates: one row per (picture, concept, segmenter) (`CANDIDATES` and scores).
    """

    samples: pa.Table
    images: pa.Table
    candidates: pa.Table = dataclasses.field(default_factory=CANDIDATES.empty_table)

    def with_columns(
        self, table: str, columns: Mapping[str, Any], meanings: Mapping[str, str] | None = None
    ) -> Unit:
        """Return a copy in which `table` has the named columns, replaced or appended.

        Args:
            table: "samples", "images" or "candidates".
            columns: name to pa.Array (or list for a column that exists, cast to its type).
            meanings: what new columns mean, by name.
        """
        t: pa.Table = getattr(self, table)
        for name, values in columns.items():
            if name in t.column_names:
                field = t.schema.field(name)
                if not isinstance(values, pa.Array | pa.ChunkedArray):
                    values = pa.array(values, field.type)
                t = t.set_column(t.column_names.index(name), name, values)
            else:
                field = described(pa.field(name, values.type), meanings or {})
                t = t.append_column(field, values)
        return dataclasses.replace(self, **{table: t})


class Stage(Protocol):
    """One step of the pipeline. Stages inherit from this.

    `__init__` takes small plain values and loads what the stage needs; a missing model or a wrong
    setting raises there. `__call__` is deterministic and never raises for a bad row: it sets
    `status` and `reason` (samples) or `reason` (candidates).
    """

    requires: ClassVar[Mapping[str, Sequence[str]]]  # table -> columns read
    adds: ClassVar[Mapping[str, Sequence[str]]]  # table -> columns written

    def __call__(self, unit: Unit) -> Unit:
        """Return the unit with what this stage adds."""
        ...

    def summary(self) -> Mapping[str, Any]:
        """What it says beside its tables: `counts` since it was made, `missing` parts; nothing."""
        return {}
