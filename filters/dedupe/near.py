"""Pairs of pictures of which one may be a copy of a part of the other, turned or mirrored."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import NamedTuple

import faiss
import numpy as np

from filters.dedupe.search import by_cell
from filters.dedupe.sketch import Views, turn_between, views, wholes

# Smallest cosine of the sketches of a copy. Different training tiles, in any turn and part: 1.4 of
# 10^5 pairs have .8, 9 have .75, which is too many to look at where there are many pictures.
ALIKE, ALIKE_AMONG_FEW, FEW = 0.8, 0.75, 20_000
PARTNERS = 6  # of a picture, the most alike ones, and the first
ONE_CELL = 5000  # below this many pictures all are compared
# Cells, in roots of the number of pictures: to find a view's costs as much as to search them.
# Of 500 crops of 80 % among 50,000 fields of noise 8 are lost, 13 with 80 pictures a cell, and 5
# where all are compared.
CELLS = 1.5
TRAIN = 40  # pictures a centroid to train k-means on
PROBES = 6  # cells searched
_MOST = 32  # pictures of a cell, the first ones, that a part is taken to be alike to
_PRODUCTS = 1 << 22  # made at once
_AT_ONCE = 2048  # pictures whose parts are made at once


class Candidate(NamedTuple):
    """`whole` may show what `part` shows: see `filters.dedupe.pixels.located`."""

    whole: int
    part: int
    window: int
    orientation: int


class Index(NamedTuple):
    """Pictures by the cell of a k-means in which their sketch lies.

    Attributes:
        centroids: float32 (cells, size).
        ends: int64 (cells,), behind the last picture of each.
        row: int64 (n,), numbers of the pictures, in order within a cell.
        orientation: int8 (n,), how each is turned.
        sketch: float16 (n, size).
    """

    centroids: np.ndarray
    ends: np.ndarray
    row: np.ndarray
    orientation: np.ndarray
    sketch: np.ndarray

    def to_bytes(self) -> bytes:
        """Arrays one after another, as numpy writes them."""
        buffer = io.BytesIO()
        for array in self:
            np.save(buffer, array)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Index:
        """Read what `to_bytes` wrote."""
        buffer = io.BytesIO(data)
        return cls(*(np.load(buffer) for _ in cls._fields))


def candidates(
    thumbs: np.ndarray, asked: np.ndarray | None = None, among: np.ndarray | None = None
) -> list[Candidate]:
    """Candidates, of each picture those it is most alike to.

    Args:
        thumbs: uint8 (n, SIDE, SIDE).
        asked: rows whose parts are looked for; all by default.
        among: thumbnails to look among, whose rows are the `part` of a candidate; by default the
            same ones, of which none is its own candidate.
    """
    index = build_index(*wholes(thumbs if among is None else among))
    asked = np.arange(len(thumbs)) if asked is None else asked
    return look_up(index, thumbs, asked, own=among is None)


def look_up(
    index: Index, thumbs: Sequence[np.ndarray] | np.ndarray, rows: np.ndarray, own: bool
) -> list[Candidate]:
    """Candidates of some pictures, of each those it is most alike to.

    Args:
        index: see `build_index`.
        thumbs: of the pictures, by their numbers; uint8 (SIDE, SIDE) each.
        rows: numbers of the pictures.
        own: the pictures are those of the index, by their numbers; none is its own candidate.
    """
    found: list[Candidate] = []
    for start in range(0, len(rows), _AT_ONCE):
        some = rows[start : start + _AT_ONCE]
        shown = views(np.stack([thumbs[row] for row in some]))
        pairs = _alike(index, shown, some if own else None)
        found += _best(index, shown, some, *pairs)
    return found


def build_index(orientation: np.ndarray, sketch: np.ndarray) -> Index:
    """What pictures are looked up in.

    Args:
        orientation: int (n,), see `filters.dedupe.sketch.Wholes`.
        sketch: float (n, size); rows of zeros are left out.
    """
    row = np.flatnonzero(sketch.any(axis=1))
    sketch = np.ascontiguousarray(sketch[row], np.float32)
    n, size = sketch.shape
    count = 1 if n < ONE_CELL else round(CELLS * math.sqrt(n))
    centroids, cell = np.zeros((1, size), np.float32), np.zeros(n, np.int64)
    if count > 1:
        means = faiss.Kmeans(
            size, count, niter=8, seed=1, spherical=True, max_points_per_centroid=40
        )
        means.train(sketch)
        centroids = np.asarray(means.centroids).reshape(count, size)
        cell = means.index.search(sketch, 1)[1][:, 0]
    order = np.argsort(cell, kind="stable")
    ends = np.cumsum(np.bincount(cell, minlength=count))
    turned = orientation[row][order].astype(np.int8)
    return Index(centroids, ends, row[order], turned, sketch[order].astype(np.float16))


def _alike(
    index: Index, shown: Views, own: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Views, places in the index, and cosines of all pairs that are alike."""
    n = len(shown.picture)
    if len(index.ends) > 1:
        coarse = faiss.IndexFlatIP(index.sketch.shape[1])
        coarse.add(index.centroids)
        cells = coarse.search(shown.sketch, min(PROBES, len(index.ends)))[1]
    else:
        cells = np.zeros((n, 1), np.int64)
    least = ALIKE_AMONG_FEW if len(index.row) < FEW else ALIKE
    found = []
    for cell, asking in by_cell(cells, np.arange(n)).items():
        start, end = int(index.ends[cell - 1]) if cell else 0, int(index.ends[cell])
        if start == end:
            continue
        right = index.sketch[start:end].astype(np.float32).T
        step = max(1, _PRODUCTS // (end - start))
        for first in range(0, len(asking), step):
            some = asking[first : first + step]
            product = shown.sketch[some] @ right
            at = np.flatnonzero(product.ravel() >= least)
            if len(at) > _MOST * len(some):
                alike = product >= least
                at = np.flatnonzero((alike & (np.cumsum(alike, axis=1) <= _MOST)).ravel())
            view, place = some[at // (end - start)], start + at % (end - start)
            if own is not None:
                other = index.row[place] != own[shown.picture[view]]
                at, view, place = at[other], view[other], place[other]
            found.append((view, place, product.ravel()[at]))
    if not found:
        return np.empty(0, int), np.empty(0, int), np.empty(0, np.float32)
    view, place, cosine = (np.concatenate(column) for column in zip(*found, strict=True))
    return view, place, cosine


def _best(
    index: Index,
    shown: Views,
    rows: np.ndarray,
    view: np.ndarray,
    place: np.ndarray,
    cosine: np.ndarray,
) -> list[Candidate]:
    """Of each pair of pictures its best view, of each picture its partners."""
    picture, other = shown.picture[view], index.row[place]
    order = np.lexsort((view, -cosine, other, picture))
    code = (picture * (int(other.max(initial=0)) + 1) + other)[order]
    order = order[np.flatnonzero(np.diff(code, prepend=-1))]  # by picture, then other
    first = np.searchsorted(picture[order], picture[order])
    by_cosine = np.lexsort((-cosine[order], picture[order]))
    rank = np.empty(len(order), np.int64)
    rank[by_cosine] = np.arange(len(order))
    keep = (rank - first < PARTNERS) | (first == np.arange(len(order)))
    order = order[keep]
    view, place = view[order], place[order]
    turn = turn_between(shown.orientation[view], index.orientation[place])
    columns = rows[shown.picture[view]], index.row[place], shown.window[view], turn
    return [Candidate(*values) for values in zip(*(c.tolist() for c in columns), strict=True)]
