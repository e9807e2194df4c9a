"""What the page's search looks through: every mask and every caption row, as columns of codes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from miner.core.store import Store
from miner.report.ledger import ledger_table

MOST = 200_000  # of each kind; what a browser filters in an instant and a page can carry


def searchable(store: Store, masks: pa.Table) -> dict[str, Any]:
    """Both tables of the search.

    Args:
        store: OUT.
        masks: see `masks.masks_table`.

    Returns:
        `samples` and `masks`, each with `total` and columns of its rows (evenly spread ones where
        there are more than `MOST`): `names` and `codes` for texts, of which samples have `id`,
        `corpus`, `image`, `status`, `reason` and masks `concept`, `segmenter`, `state` and their
        `sample` by number (−1 where it is not among these); `score` in thousandths, −1 without.
    """
    rows = ledger_table(store, "samples", ["sample_id", "corpus", "image", "status", "reason"])
    some = _some(rows)
    ids = some["sample_id"]
    samples = {name: _coded(some[name]) for name in ("corpus", "status", "reason")}
    samples |= {"id": ids.to_pylist(), "image": some["image"].to_pylist()}
    shown = _some(masks)
    at = pc.fill_null(pc.index_in(shown["sample_id"], ids), -1)
    score = np.nan_to_num(shown["score"].to_numpy().astype(float), nan=-0.001)
    found = {name: _coded(shown[name]) for name in ("concept", "segmenter", "state")}
    found |= {
        "sample": at.to_pylist(),
        "score": np.round(1000 * score).astype(int).tolist(),
    }
    return {
        "samples": {"total": rows.num_rows, **samples},
        "masks": {"total": masks.num_rows, **found},
    }


def _some(table: pa.Table) -> pa.Table:
    if table.num_rows <= MOST:
        return table
    return table.take(pa.array(np.linspace(0, table.num_rows - 1, MOST).astype(np.int64)))


def _coded(column: pa.ChunkedArray) -> dict[str, Any]:
    names = sorted({v for v in pc.unique(column).to_pylist() if v is not None})
    codes = pc.fill_null(pc.index_in(column, pa.array(names, pa.string())), -1)
    return {"names": names, "codes": codes.to_pylist()}
