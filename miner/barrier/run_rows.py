"""What is decided on the rows of a run, all of them at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from miner.barrier.pieces import Piece, read_piece, read_schema
from miner.core.rows import struct
from miner.core.store import Store
from shards.sample import AlsoCaption

_TEXT = pa.dictionary(pa.int32(), pa.string())
ALSO = pa.list_(struct(AlsoCaption))


class RunRows:
    """Columns over the rows of the run: object, None where there is nothing, but for numbers.

    Args:
        store: OUT.
        pieces: `rows` of `miner.barrier.outcomes`, one a part.

    Attributes:
        lengths: rows of each part.
        part: number of each row's part.
        group: as published.
        status: as it is decided; so are reason, split, duplicate_of, similarity and tar.
        size: bytes in a tar, about.
        also: captions that ride along, by row; None: nobody asked for them.
    """

    def __init__(self, store: Store, pieces: Sequence[Piece]):
        self._store, self._pieces = store, pieces
        columns = ["group", "status", "reason", "size"]
        tables = [read_piece(store, piece, columns) for piece in pieces]
        self.lengths = [len(table) for table in tables]
        self.part = np.repeat(np.arange(len(tables)), self.lengths)
        table = pa.concat_tables(tables).unify_dictionaries()
        self.group, self.status, self.reason = (_texts(table[name]) for name in columns[:3])
        self.size = table["size"].to_numpy()
        n = len(table)
        self.split, self.duplicate_of = np.full(n, None, object), np.full(n, None, object)
        self.similarity, self.tar = np.full(n, np.nan), np.full(n, -1, np.int32)
        self.also: dict[int, list[AlsoCaption]] | None = None

    def drop(
        self, rows: np.ndarray, keeper: str | list[str], similarity: float, reason: str
    ) -> None:
        """Leave rows out as copies of pictures that stay, of one or one each."""
        self.status[rows], self.reason[rows] = "duplicate", reason
        self.duplicate_of[rows], self.similarity[rows] = keeper, similarity

    @property
    def column_names(self) -> list[str]:
        """What `of` can be asked for."""
        return list(read_schema(self._store, self._pieces[0]).names)

    @property
    def written(self) -> np.ndarray:
        """Numbers of the rows that are written by now, int64."""
        return np.flatnonzero(self.status == "written")

    def exclude(self, rows: np.ndarray | list[int], reason: str) -> None:
        """Leave rows out."""
        self.status[rows], self.reason[rows] = "excluded", reason
        self.split[rows] = None

    def of_written(self, columns: list[str]) -> pa.Table:
        """Further columns, of the rows that are written by now."""
        return self.of(columns, self.status == "written")

    def of(self, columns: list[str], wanted: np.ndarray) -> pa.Table:
        """Further columns of some rows: bool (n,)."""
        tables, start = [], 0
        for piece, length in zip(self._pieces, self.lengths, strict=True):
            mask = pa.array(wanted[start : start + length], pa.bool_())
            tables.append(read_piece(self._store, piece, columns).filter(mask))
            start += length
        return pa.concat_tables(tables).unify_dictionaries()

    def table(self, rows: slice) -> pa.Table:
        """What was decided on some rows."""
        tar = self.tar[rows]
        also = {}
        if self.also is not None:
            numbers = range(rows.start, rows.stop)
            also["also"] = pa.array([self.also.get(number, ()) for number in numbers], ALSO)
        return pa.table(
            {
                **also,
                **{
                    n: pa.array(getattr(self, n)[rows], _TEXT)
                    for n in ("status", "reason", "split")
                },
                "duplicate_of": pa.array(self.duplicate_of[rows], pa.string()),
                "similarity": pa.array(self.similarity[rows], from_pandas=True),
                "tar": pa.array(tar, pa.int32(), mask=tar < 0),
            }
        )


class ByImage:
    """Rows that could be written by their picture.

    Attributes:
        ids: the pictures, in order, strings.
        row: numbers of the rows, by picture; those of picture i are `of(i)`.
    """

    def __init__(self, rows: RunRows, image_ids: pa.ChunkedArray):
        known = image_ids.combine_chunks().dictionary_encode()
        order = pc.array_sort_indices(known.dictionary).to_numpy().astype(np.int64)
        self.ids = known.dictionary.take(pa.array(order))
        rank = np.empty(len(order), np.int64)
        rank[order] = np.arange(len(order))
        self.code = rank[known.indices.to_numpy()] if len(order) else np.empty(0, np.int64)
        sort = np.argsort(self.code, kind="stable")
        self.row = rows.written[sort]
        self._starts = np.searchsorted(self.code[sort], np.arange(len(order) + 1))

    def __len__(self) -> int:
        return len(self.ids)

    def index(self, image_ids: pa.ChunkedArray) -> np.ndarray:
        """Places of some pictures in `ids`: int64 (m,), -1 where it is not there."""
        found = pc.index_in(image_ids.combine_chunks(), value_set=self.ids)
        return np.asarray(found.fill_null(-1).cast(pa.int64()))

    def of(self, i: int) -> np.ndarray:
        """Numbers of the rows of a picture."""
        return self.row[self._starts[i] : self._starts[i + 1]]

    def most(self, values: np.ndarray) -> np.ndarray:
        """Largest value of each picture's rows, float64 (pictures,)."""
        most = np.full(len(self), -np.inf)
        np.maximum.at(most, self.code, values)
        return most


def _texts(column: pa.ChunkedArray) -> np.ndarray:
    """A column of dictionaries as objects, equal ones the same: object (n,)."""
    parts = [
        np.array([*chunk.dictionary.to_pylist(), None], object)[
            chunk.indices.fill_null(-1).to_numpy()
        ]
        for chunk in column.chunks
    ]
    return np.concatenate(parts) if parts else np.empty(0, object)
