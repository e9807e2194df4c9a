"""Which pictures are dropped, for which other one, and why.

Pictures are taken from the best grounded to the worst, ties by name. One that is a copy of an
earlier one that stays is dropped for that one; any other stays. Levels, in this order: the same
bytes or pixels (`exact`); the same field by its thumbnail, however encoded, scaled, cropped,
turned, mirrored, recoloured or drawn upon (`near`); a cosine of the embeddings above the threshold
and some resemblance of the thumbnails beside it (`semantic`). Without thumbnails the cosine alone
decides. The answer depends on the set of pictures only, never on the order they come in.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from filters.dedupe.near import Candidate, candidates
from filters.dedupe.pixels import RESEMBLES, SAME, located, located_any_way
from filters.dedupe.search import Accept, Vectors, representatives
from miner.core.errors import Refused

DECIMALS = 6
TRIES = 8  # rows that stand for copies of a row, and are compared with it
FEW = 100  # copies of one picture that are no reason to stop, whatever their share

Rank = tuple[float, ...]
Thumbs = Any  # uint8 (SIDE, SIDE) each, by their rows


class Duplicate(NamedTuple):
    """Why a picture is dropped.

    Attributes:
        keeper: image_id of the picture that stays.
        reason: exact, near or semantic.
        similarity: 1 for exact, the correlation of detail for near, the cosine for semantic.
    """

    keeper: str
    reason: str
    similarity: float


def duplicates(
    image_ids: Sequence[str],
    hashes: Sequence[Hashable] | np.ndarray,
    ranks: Sequence[Rank] | np.ndarray,
    vectors: Vectors | None,
    threshold: float,
    *,
    pixel_hashes: Sequence[Hashable] | np.ndarray | None = None,
    thumbs: Thumbs | None = None,
    near: Mapping[Candidate, float] | None = None,
    largest_share: float | None = None,
    standing: int = 0,
) -> dict[str, Duplicate]:
    """Find the pictures to drop.

    Args:
        image_ids: unique names.
        hashes: hashes of the bytes, or numbers for them, same length.
        ranks: of numbers; smaller is better.
        vectors: embeddings, float (n, d), or what gives them by rows; None: no semantic level.
        threshold: smallest cosine of a semantic duplicate.
        pixel_hashes: hashes of the decoded pixels; None compares bytes.
        thumbs: uint8 (n, SIDE, SIDE), see `filters.dedupe.thumbnail`; None: no near level.
        near: pairs that show one field by their rows, and the correlation of each, where they were
            looked for before: see `same_field`.
        largest_share: largest share of the pictures that may be dropped, other than as exact
            copies, for one of them.
        standing: so many pictures, those that rank first, are only dropped for equal ones.

    Raises:
        Refused: an embedding with NaN, or one picture has more copies than `largest_share` allows.
    """
    if not len(image_ids):
        return {}
    order = _best_first(image_ids, ranks)
    same = np.asarray(hashes if pixel_hashes is None else pixel_hashes)
    _, first, equal = np.unique(same[order], return_index=True, return_inverse=True)
    keeper = order[first[equal]]  # of those in order, the first that is equal
    rest = order[keeper == order]
    stands = _decided(
        None if thumbs is None else _Picked(thumbs, rest),
        None if vectors is None else _Picked(vectors, rest),
        threshold,
        None if near is None else _among(near, rest, order, keeper),
        int((keeper == order)[:standing].sum()),
    )
    dropped: dict[str, Duplicate] = {}
    for at, stand in stands.items():
        alike = round(stand.similarity, DECIMALS)
        name = image_ids[rest[stand.keeper]]
        dropped[image_ids[rest[at]]] = Duplicate(name, stand.reason, alike)
    for copy, first_one in zip(order[keeper != order], keeper[keeper != order], strict=True):
        # What is equal to a picture that is dropped is dropped for the same one and reason.
        name = image_ids[first_one]
        dropped[image_ids[copy]] = dropped.get(name) or Duplicate(
            name, reason="exact", similarity=1.0
        )
    if largest_share is not None:
        _check_share(dropped, len(image_ids), largest_share)
    return dropped


def _best_first(image_ids: Sequence[str], ranks: Sequence[Rank] | np.ndarray) -> np.ndarray:
    """Rows by rank, then name: int64 (n,)."""
    by_name = pc.array_sort_indices(pa.array(image_ids, pa.string())).to_numpy().astype(np.int64)
    place = np.empty(len(image_ids), np.int64)
    place[by_name] = np.arange(len(image_ids))
    columns = np.asarray(ranks, float).reshape(len(image_ids), -1).T
    return np.lexsort((place, *columns[::-1]))


def _among(
    near: Mapping[Candidate, float], rest: np.ndarray, order: np.ndarray, keeper: np.ndarray
) -> dict[Candidate, float]:
    """The pairs by their places in `rest`; a row counts as the one that it is equal to."""
    at = np.empty(len(order), np.int64)
    at[rest] = np.arange(len(rest))
    at[order] = at[keeper]
    return {
        c._replace(whole=int(at[c.whole]), part=int(at[c.part])): alike for c, alike in near.items()
    }


class _Picked:
    """Some rows of thumbnails or vectors, left where they are: those of a large run lie on disk."""

    ndim = 2

    def __init__(self, values: Any, rows: np.ndarray):
        self._values, self._rows = values, rows

    @property
    def shape(self) -> tuple[int, ...]:
        return len(self._rows), *self._values.shape[1:]

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, i: Any) -> Any:
        return self._values[self._rows[i]]


class _Stand(NamedTuple):
    keeper: int
    reason: str
    similarity: float


class _Link(NamedTuple):
    other: int
    similarity: float
    candidate: Candidate


def same_field(found: Iterable[Candidate], thumbs: Thumbs) -> dict[Candidate, float]:
    """Those of the candidates that show one field, and the correlation of each."""
    alike = {c: located(thumbs[c.whole], thumbs[c.part], c.window, c.orientation) for c in found}
    return {c: value for c, value in alike.items() if value >= SAME}


def _decided(
    thumbs: Thumbs | None,
    vectors: Vectors | None,
    threshold: float,
    near: Mapping[Candidate, float] | None,
    standing: int,
) -> dict[int, _Stand]:
    """What stands for each row that does not stand for itself; rows come best first."""
    if thumbs is None:
        return {} if vectors is None else _by_cosine(vectors, threshold, None, standing)
    if near is None and len(thumbs) > 1:
        every = np.stack([thumbs[i] for i in range(len(thumbs))])
        near = same_field(candidates(every), every)
    links: dict[int, list[_Link]] = defaultdict(list)
    for c, alike in (near or {}).items():
        links[c.whole].append(_Link(c.part, alike, c))
        links[c.part].append(_Link(c.whole, alike, c))
    semantic: dict[int, _Stand] = {}
    if vectors is not None:
        semantic = _by_cosine(vectors, threshold, _resembling(thumbs), standing)
    stands: dict[int, _Stand] = {}
    for i in sorted(row for row in {*links, *semantic} if row >= standing):
        mine = sorted(links.get(i, ()), key=lambda link: (link.other, -link.similarity))
        options = (_linked(i, mine, stands), _by_way(i, mine, stands, thumbs), semantic.get(i))
        for option in options:
            if option is not None and option.keeper not in stands:
                stands[i] = option
                break
    return stands


def _linked(i: int, links: Sequence[_Link], stands: Mapping[int, _Stand]) -> _Stand | None:
    """The first earlier row that stays and shows the same field, by what was looked up."""
    for link in links:
        if link.other < i and link.other not in stands:
            return _Stand(link.other, reason="near", similarity=link.similarity)
    return None


def _by_way(
    i: int, links: Sequence[_Link], stands: Mapping[int, _Stand], thumbs: Thumbs
) -> _Stand | None:
    """The first earlier row that stays and shows the same field, among those that stand for others.

    A picture with many copies is not looked up with each: what a copy of it is dropped for is
    compared with it, by its pixels as any other.
    """
    tried: dict[int, Candidate] = {}
    for link in links:
        if (stand := stands.get(link.other)) is not None and stand.keeper < i:
            tried.setdefault(stand.keeper, link.candidate)
    for keeper, c in sorted(tried.items())[:TRIES]:
        whole, part = (i, keeper) if c.whole == i else (keeper, i)
        alike = located(thumbs[whole], thumbs[part], c.window, c.orientation)
        if alike < SAME and c.window == 0:
            alike = located_any_way(thumbs[whole], thumbs[part])
        if alike >= SAME:
            return _Stand(keeper, reason="near", similarity=alike)
    return None


def _by_cosine(
    vectors: Vectors, threshold: float, accept: Accept | None, standing: int
) -> dict[int, _Stand]:
    stands = representatives(vectors, threshold, accept, standing)
    result = {}
    for i in np.flatnonzero(stands != np.arange(len(stands))).tolist():
        a, b = (np.asarray(vectors[j], np.float64) for j in (i, stands[i]))
        cosine = float(a @ b / np.sqrt((a @ a) * (b @ b)))
        result[i] = _Stand(int(stands[i]), reason="semantic", similarity=cosine)
    return result


def _resembling(thumbs: Thumbs) -> Accept:
    def accept(late: np.ndarray, early: np.ndarray, cosine: np.ndarray) -> np.ndarray:
        pairs = zip(late, early, strict=True)
        return np.array([located(thumbs[a], thumbs[b]) >= RESEMBLES for a, b in pairs], bool)

    return accept


def _check_share(dropped: dict[str, Duplicate], n: int, share: float) -> None:
    counts = Counter(d.keeper for d in dropped.values() if d.reason != "exact")
    for keeper, count in counts.most_common(1):
        if count > max(FEW, share * n):
            raise Refused(
                f"dedupe.largest_share: {count} of {n} pictures would be dropped as copies of "
                f"{keeper}; look at them, and raise it above {count / n:.2g} if they are"
            )
