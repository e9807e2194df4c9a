"""Tables of the ledger, all corpora one after the other."""

from __future__ import annotations

import pyarrow as pa

from miner.core.store import Store


def ledger_table(store: Store, name: str, columns: list[str] | None) -> pa.Table:
    """Columns of ledger/`name` (None: all)."""
    files = store.names(f"ledger/{name}", suffix=".parquet")
    return pa.concat_tables(
        [store.read_table(f, columns=columns) for f in files], promote_options="default"
    )
