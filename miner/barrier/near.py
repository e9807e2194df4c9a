"""Candidates for near-duplicates, part by part: which pictures may show one field, and do they.

Looking each picture up in every turn and part is what comparing costs most, so tasks share it: the
index over the layouts of all pictures is small, the thumbnails of candidates are read one by one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import faiss
import numpy as np
import pyarrow as pa

from filters.dedupe.near import Candidate, build_index, look_up
from filters.dedupe.pixels import located
from filters.dedupe.thumbnail import GRID, SIDE
from miner.barrier.pieces import Piece, Place, read_bytes, read_piece
from miner.core.store import Store

_BYTES = SIDE * SIDE


def index(place: Place, given: Sequence[Piece]) -> dict[str, Any]:
    """Build the index over the layouts of all pictures; of equal ones only the first is in it.

    Args:
        place: where to write.
        given: `pictures` of the parts, see `outcomes`.

    Returns:
        index: piece, as faiss writes it; rows: piece with `row`, numbers of its pictures among
        those of all parts; starts: number of the first picture of each part.
    """
    seen: set[str] = set()
    rows: list[int] = []
    layouts: list[np.ndarray] = []
    starts, start = [], 0
    for piece in given:
        table = read_piece(place.store, piece, ["pixel_hash", "layout"])
        hashes, data = table["pixel_hash"].to_pylist(), table["layout"].to_pylist()
        first = {value: i for i, value in reversed([*enumerate(hashes)]) if value not in seen}
        new = sorted(first.values())
        seen |= first.keys()
        rows += [start + i for i in new]
        flat = np.frombuffer(b"".join(data[i] for i in new), np.float32)
        layouts.append(flat.reshape(-1, GRID * GRID))
        starts.append(start)
        start += len(table)
    built = faiss.serialize_index(build_index(np.concatenate(layouts))) if rows else np.zeros(0)
    return {
        "index": place.write_bytes(built.astype(np.uint8).tobytes(), "index"),
        "rows": place.write(pa.table({"row": pa.array(rows, pa.int64())}), "rows"),
        "starts": starts,
    }


@dataclasses.dataclass(frozen=True)
class Sought:
    """What `near` is given.

    Attributes:
        part: number of the part whose pictures are looked up.
        index: piece of `index`.
        rows: likewise.
        starts: likewise.
        thumbs: of all parts, see `outcomes`.
    """

    part: int
    index: Piece
    rows: Piece
    starts: Sequence[int]
    thumbs: Sequence[Piece]


def near(place: Place, given: Sought) -> Piece:
    """Find what the pictures of a part may be copies of.

    Returns:
        Piece: whole, part (numbers of pictures among those of all parts), window, orientation, and
        alike, the correlation of detail (`filters.dedupe.pixels.located`).
    """
    store = place.store
    rows = read_piece(store, given.rows)["row"].to_numpy()
    own = np.frombuffer(read_bytes(store, given.thumbs[given.part]), np.uint8)
    own = own.reshape(-1, SIDE, SIDE)
    first = given.starts[given.part]
    here = np.flatnonzero((rows >= first) & (rows < first + len(own)))
    found: list[Candidate] = []
    if len(here) and len(rows) > 1:
        built = faiss.deserialize_index(np.frombuffer(read_bytes(store, given.index), np.uint8))
        shown = ((int(i), own[rows[i] - first]) for i in here)
        found = list(look_up(built, shown, own=True))
    others = _thumbs(store, given, rows[[c.part for c in found]])
    alike = [
        located(own[rows[c.whole] - first], other, c.window, c.orientation)
        for c, other in zip(found, others, strict=True)
    ]
    columns = {
        "whole": pa.array(rows[[c.whole for c in found]], pa.int64()),
        "part": pa.array(rows[[c.part for c in found]], pa.int64()),
        "window": pa.array([c.window for c in found], pa.int32()),
        "orientation": pa.array([c.orientation for c in found], pa.int32()),
        "alike": pa.array(alike, pa.float64()),
    }
    return place.write(pa.table(columns))


def _thumbs(store: Store, given: Sought, rows: np.ndarray) -> list[np.ndarray]:
    """Thumbnails of some pictures, wherever they are."""
    part = np.searchsorted(given.starts, rows, side="right") - 1
    at = (rows - np.array(given.starts, np.int64)[part]) * _BYTES
    paths = [store.path(given.thumbs[p].name) for p in part.tolist()]
    found = store.fs.cat_ranges(paths, at.tolist(), (at + _BYTES).tolist()) if paths else []
    return [np.frombuffer(data, np.uint8).reshape(SIDE, SIDE) for data in found]


def read_near(store: Store, pieces: Sequence[Piece]) -> dict[Candidate, float]:
    """Candidates by the numbers of their pictures, and the correlation of each."""
    found: dict[Candidate, float] = {}
    for piece in pieces:
        table = read_piece(store, piece)
        *names, alike = (column.to_pylist() for column in table.columns)
        found.update(
            (Candidate(*values), value) for *values, value in zip(*names, alike, strict=True)
        )
    return found
