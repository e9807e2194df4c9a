"""Rows of parquet files by number, without reading more row groups than needed."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from miner.corpora.files import Folder
from miner.corpora.rows import Place
from miner.errors import Refused


def parquet_columns(folder: Folder, table: str) -> list[str]:
    """Column names.

    Raises:
        Refused: it is no parquet file.
    """
    try:
        with folder.open(table) as file:
            return pq.ParquetFile(file).schema_arrow.names
    except (pa.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())
        raise Refused(f"{folder.field}: {folder.path(table)}: not parquet ({reason})") from None


def parquet_scan(
    folder: Folder, table: str, columns: Sequence[str], start: int
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Row number and some columns of every row from `start`."""
    with folder.open(table) as file:
        at = 0
        source = pq.ParquetFile(file)
        for group in range(source.num_row_groups):
            rows = source.metadata.row_group(group).num_rows
            if at + rows > start:
                numbers = itertools.count(at)
                for batch in source.iter_batches(256, row_groups=[group], columns=list(columns)):
                    for value in batch.to_pylist():
                        number = next(numbers)
                        if number >= start:
                            yield number, value
            at += rows


def parquet_rows(folder: Folder, tables: Sequence[str], places: list[Place]) -> list[Any]:
    """Whole rows by table and row number (`offset`), in the order asked."""
    result: list[Any] = [None] * len(places)
    order = sorted(range(len(places)), key=lambda i: (places[i].table, places[i].offset))
    for table, same in itertools.groupby(order, key=lambda i: places[i].table):
        wanted = list(same)
        with folder.open(tables[table]) as file:
            source = pq.ParquetFile(file)
            begin = 0
            for group in range(source.num_row_groups):
                end = begin + source.metadata.row_group(group).num_rows
                here = [i for i in wanted if begin <= places[i].offset < end]
                if here:
                    rows = source.read_row_group(group)
                    taken = rows.take(pa.array([places[i].offset - begin for i in here]))
                    for i, value in zip(here, taken.to_pylist(), strict=True):
                        result[i] = value
                begin = end
    return result
