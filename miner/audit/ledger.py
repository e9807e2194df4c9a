"""The ledger of a release: every row of the run, with what the audit took away."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import pyarrow as pa

from miner.barrier.ledger import SAMPLE_ROWS
from miner.core.store import Store


def rewrite(
    store: Store,
    to: Store,
    shard_of: Mapping[str, str],
    regions: Mapping[str, Sequence[str]],
    dropped: Collection[str],
) -> int:
    """Copy the ledger, with the shards of the release and its verdicts.

    Args:
        store: the audited OUT.
        to: the release.
        shard_of: tar of every released key.
        regions: concepts of the regions of every released key.
        dropped: concepts that are left out, of duplicates, too.

    Returns:
        Rows that were written in OUT and are not in the release.
    """
    gone: set[str] = set()
    for name in store.names("ledger/samples", suffix=".parquet"):
        rows = store.read_table(name).to_pylist()
        for row in rows:
            if row["status"] != "written":
                continue
            if row["key"] in shard_of:
                row["shard"], row["regions"] = shard_of[row["key"]], len(regions[row["key"]])
                continue
            gone.add(row["sample_id"])
            row.update(status="excluded", reason="audit", regions=0)
            row |= dict.fromkeys(("split", "shard", "key"))
        to.write_table(name, pa.Table.from_pylist(rows, schema=SAMPLE_ROWS))
    for name in store.names("ledger/candidates", suffix=".parquet"):
        table = store.read_table(name)
        keep, reason = [], []
        for sample_id, concept, kept, why in zip(
            *(table[c].to_pylist() for c in ("sample_id", "concept", "keep", "reason")),
            strict=True,
        ):
            released = sample_id in shard_of and concept in regions[sample_id]
            written = sample_id in shard_of or sample_id in gone
            left_out = kept and (concept in dropped or (written and not released))
            keep.append(kept and not left_out)
            reason.append("audit" if left_out else why)
        for column, values in (("keep", keep), ("reason", reason)):
            at = table.column_names.index(column)
            table = table.set_column(at, table.field(column), pa.array(values, table[column].type))
        to.write_table(name, table)
    return len(gone)
