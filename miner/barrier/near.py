"""Near-duplicates, part by part: which pictures may show one field, and do they.

Looking each picture up in every turn and part is what comparing costs most, so tasks share it: the
index over the sketches of all pictures is small, the thumbnails of candidates are read one by one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from filters.dedupe.levels import same_field
from filters.dedupe.near import Candidate, Index, build_index, look_up
from filters.dedupe.sketch import SIZE
from filters.dedupe.thumbnail import SIDE
from miner.barrier.pieces import Piece, Place, read_bytes, read_piece
from miner.core.store import Store

_BYTES = SIDE * SIDE
MOST_TASKS = 256  # of `near`: each reads the index


def index(place: Place, given: Sequence[Piece]) -> dict[str, Any]:
    """Build the index over the sketches of all pictures; of equal ones only the first is in it.

    Args:
        place: where to write.
        given: `pictures` of the parts, see `outcomes`.

    Returns:
        index: piece, `filters.dedupe.near.Index` by the numbers of pictures among those of all
        parts; starts: number of the first picture of each part.
    """
    columns = ["pixel_hash", "orientation", "sketch"]
    tables = [read_piece(place.store, piece, columns) for piece in given]
    starts = np.cumsum([0, *(len(table) for table in tables)])[:-1]
    table = pa.concat_tables(tables)
    del tables
    flat = np.frombuffer(b"".join(table["sketch"].to_pylist()), np.float16)
    sketch = flat.reshape(-1, SIZE).copy()
    equal = pc.dictionary_encode(table["pixel_hash"].combine_chunks()).indices.to_numpy()
    again = np.ones(len(table), bool)
    again[np.unique(equal, return_index=True)[1]] = False
    sketch[again] = 0
    built = build_index(table["orientation"].to_numpy(), sketch)
    return {"index": place.write_bytes(built.to_bytes(), "index"), "starts": starts.tolist()}


@dataclasses.dataclass(frozen=True)
class Sought:
    """What `near` is given.

    Attributes:
        parts: numbers of the parts whose pictures are looked up.
        index: piece of `index`.
        starts: likewise.
        thumbs: of all parts, see `outcomes`.
    """

    parts: Sequence[int]
    index: Piece
    starts: Sequence[int]
    thumbs: Sequence[Piece]


def near(place: Place, given: Sought) -> Piece:
    """Find what the pictures of some parts are copies of.

    Returns:
        Piece: whole, part (numbers of pictures among those of all parts), window, orientation, and
        alike, the correlation of detail (`filters.dedupe.pixels.located`).
    """
    store = place.store
    built = Index.from_bytes(read_bytes(store, given.index))
    pictures = np.sort(built.row)
    found: dict[Candidate, float] = {}
    for part in given.parts:
        thumbs = _Thumbs(store, given, part)
        first, last = np.searchsorted(pictures, [thumbs.first, thumbs.first + len(thumbs.own)])
        may_be = look_up(built, thumbs, pictures[first:last], own=True)
        thumbs.fetch([c.part for c in may_be])
        found |= same_field(may_be, thumbs)
    values = [*(zip(*found, strict=True) if found else [()] * len(Candidate._fields))]
    types = (pa.int64(), pa.int64(), pa.int32(), pa.int32())
    columns = {
        name: pa.array(column, kind)
        for name, column, kind in zip(Candidate._fields, values, types, strict=True)
    }
    return place.write(pa.table({**columns, "alike": pa.array([*found.values()], pa.float64())}))


class _Thumbs(Sequence[np.ndarray]):
    """Thumbnails by the numbers of pictures: those of a part, and others that were fetched."""

    def __init__(self, store: Store, given: Sought, part: int):
        self._store, self._given, self.first = store, given, given.starts[part]
        flat = np.frombuffer(read_bytes(store, given.thumbs[part]), np.uint8)
        self.own = flat.reshape(-1, SIDE, SIDE)
        self._others: dict[int, np.ndarray] = {}

    def __len__(self) -> int:
        return self.first + len(self.own)

    def __getitem__(self, row: Any) -> Any:
        at = int(row) - self.first
        return self.own[at] if 0 <= at < len(self.own) else self._others[int(row)]

    def fetch(self, rows: Sequence[int]) -> None:
        """Read those of other parts."""
        others = sorted({row for row in rows if not self.first <= row < len(self)})
        found = read_thumbs(self._store, self._given.thumbs, self._given.starts, others)
        self._others = dict(zip(others, found, strict=True))


def read_thumbs(
    store: Store, pieces: Sequence[Piece], starts: Sequence[int], pictures: Sequence[int]
) -> list[np.ndarray]:
    """Thumbnails of some pictures, by their numbers, wherever they are: uint8 (SIDE, SIDE) each."""
    rows = np.array(pictures, np.int64)
    part = np.searchsorted(starts, rows, side="right") - 1
    at = (rows - np.array(starts, np.int64)[part]) * _BYTES
    paths = [store.path(pieces[p].name) for p in part.tolist()]
    found = store.fs.cat_ranges(paths, at.tolist(), (at + _BYTES).tolist()) if paths else []
    return [np.frombuffer(data, np.uint8).reshape(SIDE, SIDE) for data in found]


def read_near(store: Store, pieces: Sequence[Piece]) -> pa.Table:
    """What `near` found of all parts."""
    return pa.concat_tables([read_piece(store, piece) for piece in pieces])
