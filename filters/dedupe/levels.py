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
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from filters.dedupe.near import ALIKE, Candidate, candidates
from filters.dedupe.pixels import RESEMBLES, SAME, located
from filters.dedupe.search import Accept, representatives
from filters.dedupe.thumbnail import detail, layout
from miner.core.errors import Refused

DECIMALS = 6
FEW = 100  # copies of one picture that are no reason to stop, whatever their share

Rank = tuple[float, ...]
Thumbs = Sequence[np.ndarray]  # uint8 (SIDE, SIDE) each


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
    hashes: Sequence[str],
    ranks: Sequence[Rank],
    vectors: np.ndarray | None,
    threshold: float,
    *,
    pixel_hashes: Sequence[str] | None = None,
    thumbs: np.ndarray | None = None,
    near: Mapping[Candidate, float] | None = None,
    largest_share: float | None = None,
) -> dict[str, Duplicate]:
    """Find the pictures to drop.

    Args:
        image_ids: unique names.
        hashes: hashes of the bytes, same length.
        ranks: smaller is better.
        vectors: embeddings, float (n, d); None: no semantic level.
        threshold: smallest cosine of a semantic duplicate.
        pixel_hashes: hashes of the decoded pixels; None compares bytes.
        thumbs: uint8 (n, SIDE, SIDE), see `filters.dedupe.thumbnail`; None: no near level.
        near: candidates by their rows, and the correlation of each (`located`), where they were
            looked for before.
        largest_share: largest share of the pictures that may be dropped, other than as exact
            copies, for one of them.

    Raises:
        Refused: an embedding with NaN, or one picture has more copies than `largest_share` allows.
    """
    order = np.array(sorted(range(len(image_ids)), key=lambda i: (ranks[i], image_ids[i])), int)
    same = hashes if pixel_hashes is None else pixel_hashes
    first: dict[str, int] = {}
    dropped: dict[str, Duplicate] = {}
    rest: list[int] = []
    copies: dict[int, list[int]] = defaultdict(list)
    for i in order.tolist():
        keeper = first.setdefault(same[i], i)
        if keeper == i:
            rest.append(i)
        else:
            copies[keeper].append(i)
    stands = _decided(
        None if thumbs is None else _Picked(thumbs, rest),
        None if vectors is None else vectors[rest],
        threshold,
        None if near is None else _among(near, rest, [first[name] for name in same]),
    )
    for at, i in enumerate(rest):
        stand = stands.get(at)
        keeper = i if stand is None else rest[stand.keeper]
        if stand is not None:
            alike = round(stand.similarity, DECIMALS)
            dropped[image_ids[i]] = Duplicate(image_ids[keeper], stand.reason, alike)
        for copy in copies[i]:
            # What is equal to a picture that is dropped is dropped for the same one and reason.
            dropped[image_ids[copy]] = (
                Duplicate(image_ids[i], reason="exact", similarity=1.0)
                if stand is None
                else dropped[image_ids[i]]
            )
    if largest_share is not None:
        _check_share(dropped, len(image_ids), largest_share)
    return dropped


def _among(
    near: Mapping[Candidate, float], rest: Sequence[int], equal: Sequence[int]
) -> dict[Candidate, float]:
    """The candidates by their places in `rest`; a row counts as the one that it is equal to."""
    at = {row: i for i, row in enumerate(rest)}
    return {
        c._replace(whole=at[equal[c.whole]], part=at[equal[c.part]]): alike
        for c, alike in near.items()
    }


class _Picked(Sequence[np.ndarray]):
    """Some thumbnails, left where they are: those of a large run lie on disk."""

    def __init__(self, thumbs: np.ndarray, rows: Sequence[int]):
        self._thumbs, self._rows = thumbs, rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, i: Any) -> Any:
        return self._thumbs[self._rows[i]]


class _Stand(NamedTuple):
    keeper: int
    reason: str
    similarity: float


def _decided(
    thumbs: Thumbs | None,
    vectors: np.ndarray | None,
    threshold: float,
    near: Mapping[Candidate, float] | None = None,
) -> dict[int, _Stand]:
    """What stands for each row that does not stand for itself; rows come best first."""
    if thumbs is None:
        return {} if vectors is None else _by_cosine(vectors, threshold, None)
    plain = _upright(thumbs)
    links: dict[int, list[Candidate]] = defaultdict(list)
    if len(thumbs) > 1:
        asked = np.array([i for i in range(len(thumbs)) if i not in plain])
        for candidate in candidates(thumbs, asked) if near is None else near:
            links[candidate.whole].append(candidate)
            links[candidate.part].append(candidate)
    semantic = {} if vectors is None else _by_cosine(vectors, threshold, _resembling(thumbs))
    stands: dict[int, _Stand] = {}
    for i in range(len(thumbs)):
        for option in _options(i, plain, links, semantic, stands, thumbs, near or {}):
            if option is not None and option.keeper not in stands:
                stands[i] = option
                break
    return stands


def _options(
    i: int,
    plain: Mapping[int, _Stand],
    links: Mapping[int, Sequence[Candidate]],
    semantic: Mapping[int, _Stand],
    stands: Mapping[int, _Stand],
    thumbs: Thumbs,
    near: Mapping[Candidate, float],
) -> Iterator[_Stand | None]:
    yield plain.get(i)
    yield _cropped_or_turned(i, plain, links, stands, thumbs, near)
    yield semantic.get(i)


def _upright(thumbs: Thumbs) -> dict[int, _Stand]:
    """Copies that show the same as they lie, however encoded, scaled or coloured."""
    base = np.stack([layout(thumb) for thumb in thumbs])
    found: dict[tuple[int, int], float] = {}

    def accept(late: np.ndarray, early: np.ndarray, cosine: np.ndarray) -> np.ndarray:
        alike = np.array(
            [
                np.vdot(detail(thumbs[a]), detail(thumbs[b]))
                for a, b in zip(late, early, strict=True)
            ]
        )
        found.update(zip(zip(late.tolist(), early.tolist(), strict=True), alike, strict=True))
        return alike >= SAME

    stands = representatives(base, ALIKE, accept)
    return {
        int(i): _Stand(
            int(stands[i]), reason="near", similarity=float(found[int(i), int(stands[i])])
        )
        for i in np.flatnonzero(stands != np.arange(len(stands)))
    }


def _cropped_or_turned(
    i: int,
    plain: Mapping[int, _Stand],
    links: Mapping[int, Sequence[Candidate]],
    stands: Mapping[int, _Stand],
    thumbs: Thumbs,
    near: Mapping[Candidate, float],
) -> _Stand | None:
    """The first earlier row that stays and shows the same field, by the links of `i`.

    A row that is a plain copy of another has that one's links.
    """
    linked = plain[i].keeper if i in plain else i
    tried = sorted(links.get(linked, ()), key=lambda c: (c.whole + c.part - linked, c))
    for candidate in tried:
        other = candidate.whole + candidate.part - linked
        if other < i and other not in stands:
            whole, part = (i, other) if candidate.whole == linked else (other, i)
            pair = thumbs[whole], thumbs[part]
            alike = near.get(candidate)
            if alike is None:
                alike = located(*pair, candidate.window, candidate.orientation)
            if alike >= SAME:
                return _Stand(other, reason="near", similarity=alike)
    return None


def _by_cosine(vectors: np.ndarray, threshold: float, accept: Accept | None) -> dict[int, _Stand]:
    stands = representatives(vectors, threshold, accept)
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
