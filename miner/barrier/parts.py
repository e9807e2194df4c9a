"""Parts of a run: some thousand caption rows, whole units, which a task of the barrier takes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from miner.commits import Marks, StoredUnit, light_candidates, read_table
from miner.core.store import Store

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

    def candidates(self, store: Store, columns: Sequence[str] | None = None) -> pa.Table:
        """Candidates of all units, some columns, or all but the masks."""
        if columns is None:
            return _joined(light_candidates(store, mark) for mark in self.marks)
        return _joined(read_table(store, mark, "candidates", columns) for mark in self.marks)


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
