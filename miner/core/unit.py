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

from miner.core.rows import (
    AnsweredCandidate,
    AskRow,
    CandidateRow,
    FactRow,
    GivenRow,
    ImageRow,
    MentionRow,
    PlannedImage,
    PlannedSample,
    SampleRow,
    StratumRow,
    schema,
    struct,
)

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

STRATUM, MENTION, FACT, GIVEN, ASK = map(
    struct, (StratumRow, MentionRow, FactRow, GivenRow, AskRow)
)

SAMPLES, IMAGES, CANDIDATES = map(schema, (PlannedSample, PlannedImage, AnsweredCandidate))


def _added(row: type, planned: pa.Schema) -> pa.Schema:
    return pa.schema([field for field in schema(row) if field.name not in planned.names])


# What the stages append to these.
SAMPLES_ADDED = _added(SampleRow, SAMPLES)
IMAGES_ADDED = _added(ImageRow, IMAGES)
CANDIDATES_ADDED = _added(CandidateRow, CANDIDATES)


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
