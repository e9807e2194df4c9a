"""Pictures of a run compared with each other: from pieces of the barrier to duplicates."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from filters.config import DedupeConfig
from filters.dedupe import Duplicate, duplicates
from filters.dedupe.near import Candidate
from miner.barrier.near import read_near, read_thumbs
from miner.barrier.outcomes import another_model
from miner.barrier.pieces import Piece, read_bytes, read_piece
from miner.core.errors import Refused
from miner.core.store import Store


@dataclasses.dataclass(frozen=True)
class Shown:
    """The pictures of a run, in pieces of `outcomes`, one of each kind a part.

    Attributes:
        names: image_id, sha256, pixel_hash and sketch.
        thumbs: of the pictures, by their numbers.
        vectors: likewise.
        dims: numbers in a vector.
    """

    names: Sequence[Piece]
    thumbs: Sequence[Piece]
    vectors: Sequence[Piece]
    dims: Sequence[int]

    def beside(self, more: Iterable[Mapping[str, Any]]) -> Shown:
        """These pictures and then more, in pieces of the same kinds."""
        found = list(more)
        names, thumbs, vectors = (
            [Piece(*one[kind]) for one in found] for kind in ("pictures", "thumbs", "vectors")
        )
        return Shown(
            [*self.names, *names],
            [*self.thumbs, *thumbs],
            [*self.vectors, *vectors],
            [*self.dims, *(one["dims"] for one in found)],
        )


def compared(
    store: Store,
    config: DedupeConfig,
    shown: Shown,
    near: Sequence[Piece] | None,
    image_ids: Sequence[str],
    ranks: np.ndarray,
    standing: int = 0,
) -> dict[str, Duplicate]:
    """Find the duplicates among some pictures of a run.

    Vectors lie in a temporary file, thumbnails where they are; both are read row by row.

    Args:
        store: OUT.
        config: which levels, and the threshold.
        shown: the pictures.
        near: of the parts, see `miner.barrier.near`; None: not compared by thumbnail.
        image_ids: the pictures that count.
        ranks: float (n, k), of each; smaller is better.
        standing: so many, those that rank first, are those of finished runs.

    Raises:
        Refused: embeddings of two models, or see `duplicates`.
    """
    with tempfile.TemporaryDirectory() as folder:
        pictures = _Pictures(store, shown, image_ids)
        return duplicates(
            image_ids,
            _codes(pictures.names["sha256"]),
            ranks,
            pictures.vectors(folder) if config.semantic else None,
            config.threshold,
            pixel_hashes=_codes(pictures.names["pixel_hash"]),
            thumbs=None if near is None else pictures.thumbs(),
            near=None if near is None else pictures.placed(read_near(store, near)),
            largest_share=config.largest_share,
            standing=standing,
        )


def _codes(column: pa.ChunkedArray) -> np.ndarray:
    """Numbers that are equal where texts are."""
    return np.asarray(column.combine_chunks().dictionary_encode().indices)


class _Pictures:
    """What is compared of some pictures.

    Args:
        store: OUT.
        shown: all pictures.
        image_ids: those that count, in this order.

    Attributes:
        names: image_id, sha256 and pixel_hash of those.
    """

    def __init__(self, store: Store, shown: Shown, image_ids: Sequence[str]):
        self._store, self._shown = store, shown
        columns = ["image_id", "sha256", "pixel_hash"]
        tables = [read_piece(store, piece, columns) for piece in shown.names]
        self._starts = np.cumsum([0, *(len(table) for table in tables)])
        everything = pa.concat_tables(tables)
        wanted = pa.array(image_ids, pa.string())
        row = pc.index_in(everything["image_id"].combine_chunks(), value_set=wanted)
        self._row = row.fill_null(-1).to_numpy().astype(np.int64)  # by number
        self._number = np.empty(len(image_ids), np.int64)  # by row
        here = np.flatnonzero(self._row >= 0)
        self._number[self._row[here]] = here
        self.names = everything.take(pa.array(self._number))

    def placed(self, near: pa.Table) -> dict[Candidate, float]:
        """Pairs by the rows of the pictures here, without those that are not here."""
        whole, part = (self._row[near[name].to_numpy()] for name in ("whole", "part"))
        rest = (near[name].to_numpy() for name in ("window", "orientation", "alike"))
        columns = [values[(whole >= 0) & (part >= 0)].tolist() for values in (whole, part, *rest)]
        return {Candidate(*values): alike for *values, alike in zip(*columns, strict=True)}

    def thumbs(self) -> _Thumbs:
        """Thumbnails, read as they are asked for."""
        return _Thumbs(self._store, self._shown.thumbs, self._starts[:-1].tolist(), self._number)

    def vectors(self, folder: str) -> _Rows | None:
        """Vectors, out of a file in a folder; None without pictures."""
        full = np.flatnonzero(np.diff(self._starts) > 0).tolist()
        if not full or not len(self._number):
            return None
        dims = self._shown.dims[full[0]]
        for part in full:
            if self._shown.dims[part] != dims:
                first = read_piece(self._store, self._shown.names[part], ["image_id"])
                raise Refused(
                    another_model(str(first["image_id"][0]), self._shown.dims[part], dims)
                )
        name = f"{folder}/vectors"
        with open(name, "wb") as file:
            for part in full:
                file.write(read_bytes(self._store, self._shown.vectors[part]))
        return _Rows(name, self._number, dims)


class _Thumbs(Sequence[np.ndarray]):
    """Thumbnails of a run by their rows, read one by one."""

    def __init__(
        self, store: Store, pieces: Sequence[Piece], starts: Sequence[int], number: np.ndarray
    ):
        self._store, self._pieces, self._starts, self._number = store, pieces, starts, number

    def __len__(self) -> int:
        return len(self._number)

    def __getitem__(self, row: Any) -> Any:
        number = int(self._number[row])
        return read_thumbs(self._store, self._pieces, self._starts, [number])[0]


class _Rows:
    """Vectors in a file by their rows; a map of the file into memory would count as memory.

    Args:
        name: of the file, float16.
        number: place in the file of each row.
        dims: numbers in a vector.
    """

    ndim = 2

    def __init__(self, name: str, number: np.ndarray, dims: int):
        self._file, self._number = open(name, "rb", buffering=0), number
        self.shape = len(number), dims

    def __getitem__(self, rows: Any) -> np.ndarray:
        wanted = self._number[rows]
        out = np.empty((wanted.size, self.shape[1]), np.float16)
        size = out.itemsize * self.shape[1]
        # Rows that follow each other in the file are read at once.
        flat = wanted.ravel()
        breaks = np.flatnonzero(np.diff(flat) != 1) + 1
        for first, last in zip([0, *breaks.tolist()], [*breaks.tolist(), flat.size], strict=True):
            if last > first:
                os.preadv(self._file.fileno(), [out[first:last].data], int(flat[first]) * size)
        return out.reshape(*wanted.shape, self.shape[1])
