"""The index of a run's shards: which samples there are, where, and which pass a filter.

Nothing here opens a tar.
"""

from __future__ import annotations

import difflib
import hashlib
import io
import json
import warnings
from collections.abc import Collection
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from miner.core.errors import Refused
from miner.core.layout import MANIFEST
from miner.core.store import Store
from shards.pack import FORMAT, INDEX, SINCE_2, index_name, manifest_bytes
from shards.trust import Damaged, index_fault, manifest_fault


def read_manifest(store: Store) -> dict[str, Any]:
    """Read and check `shards/manifest.json`.

    Raises:
        Damaged: it is missing, not what was written, or names what packing does not allow.
        Refused: it is of a later format.
    """
    try:
        data = store.read(MANIFEST)
    except FileNotFoundError:
        folder, _, name = MANIFEST.partition("/")
        inside = store.url.rstrip("/").endswith(f"/{folder}") and store.exists(name)
        why = "give the folder above it" if inside else "not an OUT folder, or unfinished"
        raise Damaged(f"{store.url}: no {MANIFEST}: {why}") from None
    try:
        manifest = json.loads(data)
        sound = manifest_bytes(manifest) == data
    except (ValueError, AttributeError, RecursionError):
        sound = False
    if not sound:
        raise Damaged(f"{MANIFEST}: changed since it was written (its own hash does not fit)")
    if fault := manifest_fault(manifest):
        raise Damaged(f"{MANIFEST}: {fault}")
    if manifest["format"] not in range(1, FORMAT + 1):
        raise Refused(
            f"{store.url}: shards of format {manifest['format']}, this Histomine reads up to "
            f"{FORMAT}; update it"
        )
    return manifest


def read_index(
    store: Store, split: str | None = None, columns: list[str] | None = None
) -> tuple[pa.Table, list[dict[str, Any]]]:
    """Index of all shards of a split, in order, with `shard`: the number of the shard.

    Args:
        store: OUT.
        split: name of the split, None for all.
        columns: which columns, None for all.

    Returns:
        The table, and the manifest's entries of the shards it counts.

    Raises:
        Damaged: a file is missing or does not fit the manifest.
        Refused: there is no such split.
    """
    manifest = read_manifest(store)
    entries = manifest["shards"]
    splits = sorted({e["split"] for e in entries})
    if split is not None:
        entries = [e for e in entries if e["split"] == split]
        if not entries:
            raise Refused(f"{store.url}: no split {split!r}; there are {', '.join(splits)}")
    tables = []
    for number, entry in enumerate(entries):
        name = index_name(entry["name"])
        try:
            data = store.read(name)
            if hashlib.sha256(data).hexdigest() != entry["index_sha256"]:
                raise Damaged(f"{name}: changed, or of another run than the manifest")
            table = pq.ParquetFile(io.BytesIO(data)).read(columns)
        except FileNotFoundError:
            raise Damaged(f"{name}: missing, the manifest lists it") from None
        except (pa.ArrowException, OSError) as error:
            raise Damaged(f"{name}: not readable: {str(error).splitlines()[0]}") from None
        if manifest["format"] < FORMAT:
            table = _with_new_columns(table, columns)
        if fault := index_fault(table, columns, entry["bytes"]):
            raise Damaged(f"{name}: {fault}")
        tables.append(table.append_column("shard", column(np.full(table.num_rows, number))))
    if not tables:
        wanted = INDEX if columns is None else pa.schema([INDEX.field(c) for c in columns])
        return wanted.append(pa.field("shard", pa.int64())).empty_table(), []
    return pa.concat_tables(tables).combine_chunks(), entries


def _with_new_columns(table: pa.Table, columns: list[str] | None) -> pa.Table:
    """The index of a tar of format 1 with the columns that came since, all null."""
    for name in SINCE_2:
        if name not in table.column_names and (columns is None or name in columns):
            nothing = pa.nulls(table.num_rows, INDEX.field(name).type)
            table = table.append_column(INDEX.field(name), nothing)
    return table


def select(
    index: pa.Table,
    concepts: Collection[str] | None = None,
    min_score: float | None = None,
    max_q_value: float | None = None,
    strata: Collection[str] | None = None,
) -> np.ndarray:
    """Rows of the index that pass, ascending int64 (n,).

    A sample passes when one of its regions meets all of the region conditions at once, and when
    it lies in one of the strata.

    Args:
        index: as `read_index` returns it.
        concepts: region condition: names of concepts.
        min_score: region condition: lowest score; a region without one fails.
        max_q_value: region condition: highest q-value; a region without one fails.
        strata: names such as `organ=kidney` or `corpus=quilt`.
    """
    keep = np.ones(index.num_rows, bool)
    if concepts is not None or min_score is not None or max_q_value is not None:
        rows = pc.list_parent_indices(index["concepts"]).to_numpy()
        good = np.ones(len(rows), bool)
        if concepts is not None:
            _tell_unknown("concepts", concepts, index)
            names = pa.array(sorted(concepts), pa.string())
            good &= pc.is_in(pc.list_flatten(index["concepts"]), names).to_numpy()
        with np.errstate(invalid="ignore"):
            if min_score is not None:
                good &= _numbers(index["scores"]) >= min_score
            if max_q_value is not None:
                good &= _numbers(index["q_values"]) <= max_q_value
        keep &= np.isin(np.arange(index.num_rows), rows[good])
    if strata is not None:
        _tell_unknown("strata", strata, index)
        rows = pc.list_parent_indices(index["strata"]).to_numpy()
        names = pa.array(sorted(strata), pa.string())
        good = pc.is_in(pc.list_flatten(index["strata"]), names).to_numpy()
        keep &= np.isin(np.arange(index.num_rows), rows[good])
    return np.flatnonzero(keep)


def _tell_unknown(what: str, wanted: Collection[str], index: pa.Table) -> None:
    """Warn of names that no sample has, as a typing error would be; it may also be chance."""
    there = sorted(pc.unique(pc.list_flatten(index[what])).to_pylist())
    for name in sorted(set(wanted).difference(there)):
        near = difflib.get_close_matches(name, there, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(there[:12])}"
        warnings.warn(f"{what}: no sample has {name}; {hint}", stacklevel=4)


# Arrow imports pandas when it meets numpy, which takes longer than reading a hundred indexes; these
# two pass the memory itself.
def column(values: np.ndarray) -> pa.Array:
    """Integers, any type (n,), as an Arrow array of int64."""
    buffer = pa.py_buffer(np.ascontiguousarray(values, np.int64))
    return pa.Array.from_buffers(pa.int64(), len(values), [None, buffer])


def integers(values: pa.ChunkedArray) -> np.ndarray:
    """A column of integers without nulls, int64 (n,)."""
    array = pc.cast(values, pa.int64()).combine_chunks()
    if not len(array):
        return np.zeros(0, np.int64)
    return np.frombuffer(array.buffers()[1], np.int64, len(array), 8 * array.offset)


def _numbers(values: pa.ChunkedArray) -> np.ndarray:
    return pc.fill_null(pc.list_flatten(values), float("nan")).to_numpy()
