"""The ledger: one row per caption row, one row per candidate mask of each caption."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from miner.core.store import Store

SAMPLE_ROWS = pa.schema(
    [
        ("sample_id", pa.string()),  # {corpus}-{row:08d}-{6 hex of image name and caption}
        ("corpus", pa.string()),  # its name
        ("row", pa.int64()),  # row number in the publisher's table, from 0
        ("image", pa.string()),  # name as published; PathGen: {wsi_id}_{x}_{y}
        ("group", pa.string()),  # video, article, patient or slide: never straddles a split
        ("split", pa.string()),  # null unless written
        ("status", pa.string()),  # see Statuses
        ("reason", pa.string()),  # null for written rows
        ("shard", pa.string()),  # file name of the tar, null unless written
        ("key", pa.string()),  # of the sample in the shard, null unless written
        ("duplicate_of", pa.string()),  # image_id of the copy that stays, null otherwise
        ("similarity", pa.float64()),  # to that copy, 0..1; 1 for exact ones
        ("regions", pa.int32()),  # kept masks that the caption grounds
        ("notes", pa.list_(pa.string())),  # what did not work on the way, e.g. llm:timeout
    ]
)

# What the ledger of candidates has in front of the columns of a unit's candidates.
CANDIDATE_HEAD = pa.schema(
    [
        ("sample_id", pa.string()),  # caption that names the concept
        ("span", pa.list_(pa.int32())),  # characters, end-exclusive; null for decoys
        ("polarity", pa.string()),  # affirmed | negated | uncertain; null for decoys
    ]
)

# Columns of a unit's candidates that are too large for a ledger or that `SAMPLE_ROWS` has.
NOT_IN_LEDGER = frozenset({"image_id", "counts", "instances"})


@contextlib.contextmanager
def table_writer(store: Store, name: str, schema: pa.Schema) -> Iterator[pq.ParquetWriter]:
    """Parquet file that grows table by table and appears whole at the end."""
    with store.writer(name) as file, pq.ParquetWriter(file, schema, compression="zstd") as writer:
        yield writer


def candidate_rows(
    samples: Sequence[Mapping[str, Any]], candidates: pa.Table, schema: pa.Schema
) -> pa.Table:
    """Candidates joined to the captions that name them.

    A candidate appears once per caption and concept; a decoy, which no caption names, with the
    first caption of its picture and without a span.

    Args:
        samples: rows with sample_id, image_id, mentions.
        candidates: a unit's candidates with verdicts.
        schema: of the result (`candidate_schema`).
    """
    concepts, images = candidates["concept"].to_pylist(), candidates["image_id"].to_pylist()
    by_image: dict[str, list[int]] = {}
    for i, image_id in enumerate(images):
        by_image.setdefault(image_id, []).append(i)
    take: list[int] = []
    ids: list[str] = []
    spans: list[list[int] | None] = []
    polarities: list[str | None] = []
    seen: set[str] = set()
    named_somewhere = {(s["image_id"], m["concept"]) for s in samples for m in s["mentions"] or ()}
    for sample in samples:
        first: dict[str, Mapping[str, Any]] = {}
        # An affirmed mention stands for its concept before a negated one.
        for m in sorted(sample["mentions"] or (), key=lambda m: m["polarity"] != "affirmed"):
            first.setdefault(m["concept"], m)
        leads = sample["image_id"] not in seen
        seen.add(sample["image_id"])
        for i in by_image.get(sample["image_id"], ()):
            mention = first.get(concepts[i])
            if mention is None and not (leads and (images[i], concepts[i]) not in named_somewhere):
                continue
            take.append(i)
            ids.append(sample["sample_id"])
            spans.append([mention["start"], mention["end"]] if mention else None)
            polarities.append(mention["polarity"] if mention else None)
    rows = candidates.take(pa.array(take, pa.int64()))
    keep = rows["keep"].to_pylist()
    reason = rows["reason"].to_pylist()
    for k, polarity in enumerate(polarities):
        if keep[k] and polarity != "affirmed":
            keep[k], reason[k] = False, polarity
    columns = {
        "sample_id": pa.array(ids, pa.string()),
        "span": pa.array(spans, pa.list_(pa.int32())),
        "polarity": pa.array(polarities, pa.string()),
        **{name: rows[name] for name in rows.column_names if name not in NOT_IN_LEDGER},
        "keep": pa.array(keep, pa.bool_()),
        "reason": pa.array(reason, pa.string()),
    }
    return pa.table({name: columns[name] for name in schema.names}, schema=schema)


def candidate_schema(candidates: pa.Schema) -> pa.Schema:
    """Schema of the candidate ledger, given that of the candidates with verdicts."""
    last = ("keep", "reason")
    rest = [f for f in candidates if f.name not in NOT_IN_LEDGER and f.name not in last]
    return pa.schema([*CANDIDATE_HEAD, *rest, *(candidates.field(name) for name in last)])
