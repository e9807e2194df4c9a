"""Pairs of pictures of which one may be a copy of a part of the other, turned or mirrored."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import faiss
import numpy as np

from filters.dedupe.search import CELL, ONE_CELL
from filters.dedupe.thumbnail import ORIENTATIONS, WINDOWS, layout, parts, turns

ALIKE = 0.7  # smallest cosine of the layouts of a copy; crops of 80 % have .8 and more
NEAREST = 3  # pictures that each part of a picture, each way round, is compared with
PARTNERS = 6  # of a picture, the most alike ones
PROBES = 4  # cells searched
_AT_ONCE = 512  # pictures; each has 208 parts and ways round


class Candidate(NamedTuple):
    """`whole` may show what `part` shows: see `filters.dedupe.pixels.located`."""

    whole: int
    part: int
    window: int
    orientation: int


def candidates(
    thumbs: Sequence[np.ndarray] | np.ndarray,
    asked: np.ndarray | None = None,
    among: Sequence[np.ndarray] | np.ndarray | None = None,
) -> Iterator[Candidate]:
    """Yield candidates, of each picture those it is most alike to.

    Args:
        thumbs: uint8 (SIDE, SIDE) each.
        asked: rows whose parts are looked for; all by default.
        among: thumbnails to look among, whose rows are the `part` of a candidate; by default the
            same ones, of which none is its own candidate.
    """
    base = np.stack([layout(thumb) for thumb in (thumbs if among is None else among)])
    asked = np.arange(len(thumbs)) if asked is None else asked
    shown = ((int(row), thumbs[row]) for row in asked)
    yield from look_up(build_index(base), shown, own=among is None)


def look_up(
    index: faiss.Index, shown: Iterable[tuple[int, np.ndarray]], own: bool
) -> Iterator[Candidate]:
    """Yield the candidates of some pictures, of each those it is most alike to.

    Args:
        index: see `build_index`.
        shown: number and thumbnail of each picture.
        own: the pictures are those of the index, by their numbers; none is its own candidate.
    """
    left = iter(shown)
    while some := list(itertools.islice(left, _AT_ONCE)):
        rows = np.array([row for row, _ in some])
        windows = np.stack([parts(thumb) for _, thumb in some])  # (rows, windows, cells)
        ways = windows[:, :, turns()]  # (rows, windows, orientations, cells)
        cosine, found = index.search(ways.reshape(-1, index.d), min(NEAREST + 1, index.ntotal))
        cosine, found = cosine.reshape(len(rows), -1), found.reshape(len(rows), -1)
        if own:
            found[found == rows[:, None]] = -1
        yield from _best(rows, cosine, found)


def _best(rows: np.ndarray, cosine: np.ndarray, found: np.ndarray) -> Iterator[Candidate]:
    each = cosine.shape[1] // (len(WINDOWS) * ORIENTATIONS)
    for row, cosines, others in zip(rows.tolist(), cosine, found, strict=True):
        alike = np.flatnonzero((cosines >= ALIKE) & (others >= 0))
        alike = alike[np.lexsort((others[alike], -cosines[alike]))]
        _, first = np.unique(others[alike], return_index=True)
        for at in alike[np.sort(first)[:PARTNERS]].tolist():
            window, orientation = divmod(at // each, ORIENTATIONS)
            yield Candidate(row, int(others[at]), window, orientation)


def build_index(base: np.ndarray) -> faiss.Index:
    """What layouts, float32 (n, cells), are looked up in."""
    n, d = base.shape
    flat = faiss.IndexFlatIP(d)
    if n < ONE_CELL:
        flat.add(base)
        return flat
    index = faiss.IndexIVFFlat(flat, d, n // CELL, faiss.METRIC_INNER_PRODUCT)
    index.cp.seed = 1
    index.train(base)
    index.add(base)
    index.nprobe = PROBES
    return index
