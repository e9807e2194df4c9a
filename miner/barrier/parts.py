"""Parts of a run: some thousand caption rows, whole units, which a task of the barrier takes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from miner.commits import MASKS, Marks, StoredUnit, read_table
from miner.core.store import Store

_MASK = 60  # bytes of an object in a sample beside its run lengths, about
ROWS = 8192  # caption rows of a part, about; a row group of the ledger


@dataclasses.dataclass(frozen=True)
class Part:
    """Units that follow each other.

    Attributes:
        name: its number in the run, six digits.
        corpus: the corpus's name.
        number: from 0 within the corpus.
        marks: of the units, what their tables are.
    """

    name: str
    corpus: str
    number: int
    marks: tuple[StoredUnit, ...]

    def ends(self, table: str) -> np.ndarray:
        """Where each unit's rows of a table end among those of the part: int64 (units,)."""
        return np.cumsum([mark["tables"][table]["rows"] for mark in self.marks])

    def unit(self, which: int, table: str) -> slice:
        """The rows of one unit among those of the part."""
        end = int(self.ends(table)[which])
        return slice(end - self.marks[which]["tables"][table]["rows"], end)

    def samples(self, store: Store, columns: Sequence[str]) -> pa.Table:
        """Caption rows of all units."""
        return _joined(read_table(store, mark, "samples", columns) for mark in self.marks)

    def candidates(self, store: Store) -> pa.Table:
        """Candidates of all units, with `mask_bytes` in place of their masks: int64."""
        return _joined(_without_masks(read_table(store, m, "candidates")) for m in self.marks)


def _without_masks(candidates: pa.Table) -> pa.Table:
    lists = candidates["instances"].combine_chunks()
    each = pc.fill_null(pc.binary_length(lists.flatten()), 0).to_numpy() + _MASK
    ends = np.cumsum(pc.fill_null(pc.list_value_length(lists), 0).to_numpy())
    objects = np.diff(np.concatenate([[0], np.cumsum(each)])[np.concatenate([[0], ends])])
    size = objects + pc.fill_null(pc.binary_length(candidates["counts"]), 0).to_numpy()
    return candidates.drop_columns(MASKS).append_column("mask_bytes", pa.array(size, pa.int64()))


def parts(marks: Marks) -> list[Part]:
    """The units of a run, in the order of their names, in parts that no corpus shares."""
    found: list[Part] = []
    pending: list[StoredUnit] = []
    corpus, number, rows = "", 0, 0

    def close() -> None:
        nonlocal number, rows
        if pending:
            found.append(Part(f"{len(found):06d}", corpus, number, tuple(pending)))
            pending.clear()
            number, rows = number + 1, 0

    for unit_id in sorted(marks):
        mark: StoredUnit = {"unit_id": unit_id, "tables": marks[unit_id]["tables"]}
        of = unit_id.rpartition("-")[0]
        if of != corpus or rows >= ROWS:
            close()
        if of != corpus:
            corpus, number = of, 0
        pending.append(mark)
        rows += mark["tables"]["samples"]["rows"]
    close()
    return found


def _joined(tables: Iterator[pa.Table]) -> pa.Table:
    return pa.concat_tables(list(tables), promote_options="default").combine_chunks()
