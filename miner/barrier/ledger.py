"""The ledger: one row per caption row, one row per candidate mask of each caption."""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from miner.barrier.parts import Part
from miner.barrier.pieces import Piece, Place, read_piece
from miner.barrier.rewrite import NOTE
from miner.barrier.sampling import before_after, coverage
from miner.core.rows import MentionRow, SampleRow
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
        ("duplicate_of", pa.string()),  # image_id of the copy that stays; see dedupe.against
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
NOT_IN_LEDGER = frozenset({"image_id", "counts", "instances", "mask_bytes"})


SAMPLES, CANDIDATES = "ledger/samples", "ledger/candidates"

# Concept, whether its candidate was kept before and is now, why not before and now: how often.
Change = tuple[str, bool | None, str | None, bool | None, str | None]


@dataclasses.dataclass(frozen=True)
class Told:
    """What `ledger` is given.

    Attributes:
        part: which rows.
        light: piece of `rates.judged`.
        told: piece of `outcomes`.
        rows: likewise.
        verdicts: likewise.
        chosen: piece of `choice`.
        tars: names of all tars.
        schema: of the candidate ledger.
        next: folder in OUT of what is to be published.
        compare: count what differs from the ledger that stands.
    """

    part: Part
    light: Piece
    told: Piece
    rows: Piece
    verdicts: Piece
    chosen: Piece
    tars: Sequence[str]
    schema: pa.Schema
    next: str
    compare: bool


def ledger(place: Place, given: Told) -> dict[str, Any]:
    """Write the two ledger files of a part.

    Returns:
        files: sha256 by name; sampling: see `miner.barrier.sampling.merged`; changes: list of
        [*Change, count], empty unless asked for.
    """
    store, part = place.store, given.part
    target, name = store.below(given.next), f"{part.corpus}-{part.number:06d}.parquet"
    samples = read_piece(store, given.told)
    rows = read_piece(store, given.rows, ["kept"])
    chosen = read_piece(store, given.chosen)
    told = _sample_rows(samples, rows, chosen, given.tars)
    files = {f"{SAMPLES}/{name}": _write(target, f"{SAMPLES}/{name}", told)}

    light = read_piece(store, given.light)
    verdicts = read_piece(store, given.verdicts)
    for column in verdicts.column_names:
        if column in light.column_names:
            light = light.drop_columns([column])
        light = light.append_column(verdicts.field(column), verdicts[column])
    for field in given.schema:
        if field.name not in light.column_names and field.name not in CANDIDATE_HEAD.names:
            light = light.append_column(field, pa.nulls(len(light), field.type))
    named = samples.select(["sample_id", "image_id", "mentions"])
    told = candidate_rows(named.to_pylist(), light, given.schema)
    files[f"{CANDIDATES}/{name}"] = _write(target, f"{CANDIDATES}/{name}", told)
    changes = _changes(store, f"{CANDIDATES}/{name}", told) if given.compare else Counter()
    return {
        "files": files,
        "sampling": _sampling(samples, rows, chosen, light),
        "changes": [[*change, count] for change, count in sorted(changes.items(), key=repr)],
    }


def _write(store: Store, name: str, table: pa.Table) -> str:
    """Write a parquet file of one row group; returns its sha256."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", row_group_size=max(1, len(table)))
    data = sink.getvalue()
    store.write(name, data)
    return hashlib.sha256(data).hexdigest()


def _sample_rows(
    samples: pa.Table, rows: pa.Table, chosen: pa.Table, tars: Sequence[str]
) -> pa.Table:
    written = pc.equal(chosen["status"].cast(pa.string()), "written")
    nothing = pa.nulls(len(samples), pa.string())
    names = pa.array(tars, pa.string())
    columns = {
        **{n: samples[n] for n in ("sample_id", "corpus", "row", "image", "group", "notes")},
        **{n: chosen[n] for n in ("split", "status", "reason", "duplicate_of", "similarity")},
        "shard": names.take(chosen["tar"].combine_chunks()) if len(names) else nothing,
        "key": pc.if_else(written, samples["sample_id"], nothing),
        "regions": pc.list_value_length(rows["kept"]),
    }
    # Kept masks of a row that had nothing to outline are those of other captions.
    added = pc.and_(pc.is_valid(samples["status"]), pc.greater(columns["regions"], 0))
    columns["notes"] = pa.array(
        [
            [*(notes or ()), *([NOTE] if more else ())]
            for notes, more in zip(columns["notes"].to_pylist(), added.to_pylist(), strict=True)
        ],
        pa.list_(pa.string()),
    )
    cast = {f.name: columns[f.name].cast(f.type) for f in SAMPLE_ROWS}
    return pa.table(cast, schema=SAMPLE_ROWS)


def _sampling(
    samples: pa.Table, rows: pa.Table, chosen: pa.Table, candidates: pa.Table
) -> dict[str, Any]:
    """Strata and concepts of the rows that caps chose among, and of those that stayed."""
    status, reason = chosen["status"].cast(pa.string()), chosen["reason"].cast(pa.string())
    written = pc.equal(status, "written")
    capped = pc.fill_null(pc.starts_with(reason, "cap:"), False)
    among = pc.or_(written, pc.and_(pc.equal(status, "excluded"), capped))
    kept = rows["kept"].combine_chunks()
    names = candidates["concept"].combine_chunks().take(kept.flatten())
    table = samples.select([n for n in ("corpus", "strata") if n in samples.column_names])
    table = table.append_column("concepts", pa.ListArray.from_arrays(kept.offsets, names))
    table, keep = table.filter(among), written.filter(among).to_pylist()
    concepts, organs, cells = coverage(table, keep)
    return {
        "before_after": before_after(table, keep),
        "coverage": {"concepts": concepts, "organs": organs, "samples": cells},
    }


def _changes(store: Store, name: str, now: pa.Table) -> Counter[Change]:
    """How often a verdict was one thing and is another, by concept; equal ones count too."""
    columns = ["sample_id", "concept", "segmenter", "keep", "reason"]
    found: Counter[Change] = Counter()
    if not store.exists(name):
        return found
    sides = []
    for table in (store.read_table(name, columns=columns), now.select(columns)):
        values = zip(*(table[c].to_pylist() for c in columns), strict=True)
        sides.append({(s, c, g): (k, r) for s, c, g, k, r in values})
    before, after = sides
    for key in before.keys() | after.keys():
        found[(key[1], *before.get(key, (None, None)), *after.get(key, (None, None)))] += 1
    return found


def candidate_rows(
    samples: Sequence[SampleRow], candidates: pa.Table, schema: pa.Schema
) -> pa.Table:
    """Candidates joined to the captions that name them.

    A candidate appears once per caption and concept; a decoy, which no caption names, with the
    first caption of its picture and without a span.

    Args:
        samples: of them sample_id, image_id, mentions.
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
        first: dict[str, MentionRow] = {}
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
