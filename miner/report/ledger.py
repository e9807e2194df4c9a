"""Tables of the ledger, all corpora one after the other."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from miner.core.store import Store


def ledger_table(
    store: Store, name: str, columns: list[str] | None, also: Sequence[str] = ()
) -> pa.Table:
    """Columns of ledger/`name` (None: all), and of those in `also` what a run wrote."""
    tables = []
    for file in store.names(f"ledger/{name}", suffix=".parquet"):
        wanted = columns
        if columns is not None and also:
            there = store.read_schema(file).names
            wanted = [*columns, *(column for column in also if column in there)]
        tables.append(store.read_table(file, columns=wanted))
    return pa.concat_tables(tables, promote_options="default")
