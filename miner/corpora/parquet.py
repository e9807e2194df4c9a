"""Rows of parquet files by number, without reading more row groups than needed."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from miner.core.errors import Refused
from miner.corpora.corpus_folder import Folder
from miner.corpora.part import Listing
from miner.corpora.rows import Place

# What Arrow raises on damaged files; UnicodeDecodeError is a ValueError.
_DAMAGE = (pa.ArrowException, OSError, ValueError)

# Where the layouts of the hub have parquet files: `data/`, `{split}/`, `{configuration}/{split}/`.
_DEEP = 2
_FOLDERS = 20


def parquet_columns(folder: Folder, table: str) -> list[str]:
    """Column names.

    Raises:
        Refused: it is no parquet file.
    """
    try:
        with folder.open(table) as file:
            return pq.ParquetFile(file).schema_arrow.names
    except _DAMAGE as error:
        raise _refused(folder, table, error) from None


def _refused(folder: Folder, table: str, error: BaseException) -> Refused:
    reason = " ".join(str(error).split())
    return Refused(f"{folder.field}: {folder.path(table)}: not parquet ({reason})")


def listed_schema(listing: Listing) -> pa.Schema:
    """Schema of the first parquet file there or up to two folders deep; empty without one."""
    names, folders = listing.names, listing.folders
    for _ in range(_DEEP):
        if any(n.endswith(".parquet") for n in names):
            break
        inner = [e for folder in folders[:_FOLDERS] for e in listing.folder.entries(folder)]
        names, folders = [n for n, d in inner if not d], [n for n, d in inner if d]
    found = [n for n in names if n.endswith(".parquet")]
    if not found:
        return pa.schema([])
    try:
        with listing.folder.open(found[0]) as file:
            return pq.ParquetFile(file).schema_arrow
    except _DAMAGE:
        return pa.schema([])


def pictures_in(schema: pa.Schema) -> list[str]:
    """Columns that may hold pictures themselves, the likeliest first."""
    likely = [
        f.name for f in schema if pa.types.is_struct(f.type) or pa.types.is_large_binary(f.type)
    ]
    return likely + [f.name for f in schema if pa.types.is_binary(f.type)]


def parquet_scan(
    folder: Folder, table: str, columns: Sequence[str], start: int
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Row number and some columns of every row from `start`; {} for rows of a damaged row group.

    Raises:
        Refused: it is no parquet file.
    """
    with folder.open(table) as file:
        try:
            source = pq.ParquetFile(file)
        except _DAMAGE as error:
            raise _refused(folder, table, error) from None
        at = 0
        for group in range(source.num_row_groups):
            rows = source.metadata.row_group(group).num_rows
            numbers = iter(range(max(at, start), at + rows))
            with contextlib.suppress(*_DAMAGE):
                if at + rows > start:
                    skip = max(0, start - at)
                    for value in _values(source, group, columns):
                        if skip:
                            skip -= 1
                        else:
                            yield next(numbers), value
            yield from ((number, {}) for number in numbers)
            at += rows


def _values(source: Any, group: int, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    for batch in source.iter_batches(256, row_groups=[group], columns=list(columns)):
        yield from batch.to_pylist()


def parquet_rows(folder: Folder, tables: Sequence[str], places: list[Place]) -> list[Any]:
    """Whole rows by table and row number (`offset`), in the order asked.

    Rows that cannot be read come as text, the reason: `damaged_row_group`.
    """
    result: list[Any] = ["damaged_row_group"] * len(places)
    order = sorted(range(len(places)), key=lambda i: (places[i].table, places[i].offset))
    for table, same in itertools.groupby(order, key=lambda i: places[i].table):
        wanted = list(same)
        with folder.open(tables[table]) as file, contextlib.suppress(*_DAMAGE):
            source = pq.ParquetFile(file)
            begin = 0
            for group in range(source.num_row_groups):
                end = begin + source.metadata.row_group(group).num_rows
                here = [i for i in wanted if begin <= places[i].offset < end]
                if here:
                    with contextlib.suppress(*_DAMAGE):
                        rows = source.read_row_group(group)
                        taken = rows.take(pa.array([places[i].offset - begin for i in here]))
                        for i, value in zip(here, taken.to_pylist(), strict=True):
                            result[i] = value
                begin = end
    return result
