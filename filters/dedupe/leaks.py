"""Pictures that are like protected ones, at any level, and the proof that such ones are found."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import cv2
import numpy as np

from filters.dedupe.near import candidates
from filters.dedupe.pixels import RESEMBLES, SAME, located
from filters.dedupe.prints import Prints
from filters.dedupe.thumbnail import SIDE, WINDOWS, detail, turned
from miner.core.errors import Refused

PLANTED = 12  # copies in a control
ROWS = 4096


class Match(NamedTuple):
    """What a picture is like.

    Attributes:
        protected: row among the protected pictures.
        reason: exact, near or semantic.
        similarity: 1 for exact, else as in `filters.dedupe.levels.Duplicate`.
    """

    protected: int
    reason: str
    similarity: float


class Pictures(Protocol):
    """What is compared of some pictures: `miner.barrier.compare.Pictures`, `Prints`."""

    @property
    def hashes(self) -> Sequence[str]:
        """Hashes of the bytes, empty where there is none."""

    @property
    def pixel_hashes(self) -> Sequence[str]:
        """Hashes of the pixels, empty where there is none."""

    @property
    def thumbs(self) -> np.ndarray | None:
        """Thumbnails, uint8 (n, SIDE, SIDE)."""

    @property
    def vectors(self) -> np.ndarray | None:
        """Embeddings, float (n, d)."""


def matches(pictures: Pictures, protected: Prints, threshold: float) -> dict[int, Match]:
    """Find the pictures that are like a protected one.

    Args:
        pictures: what is looked at.
        protected: what nothing may be like.
        threshold: smallest cosine of the semantic level.

    Returns:
        Row of a picture -> what it is like.

    Raises:
        Refused: the embeddings are of another length, so of another model.
    """
    found = _exact(pictures, protected)
    if pictures.thumbs is not None and protected.thumbs is not None:
        for row, match in _near(pictures.thumbs, protected.thumbs).items():
            found.setdefault(row, match)
    if pictures.vectors is not None and protected.vectors is not None:
        for row, match in _semantic(pictures, protected, threshold).items():
            found.setdefault(row, match)
    return found


def control(protected: Prints, threshold: float) -> tuple[int, int]:
    """Plant copies of protected pictures and look for them.

    Copies by bytes where hashes are known; turned, mirrored and cropped ones where there are
    thumbnails with anything on them; equal embeddings where there is nothing else.

    Returns:
        How many were planted, and how many of them were found.
    """
    rows = np.unique(np.linspace(0, len(protected) - 1, PLANTED).astype(int)).tolist()
    planted = found = 0
    known = [row for row in rows if protected.hashes[row] or protected.pixel_hashes[row]]
    if known:
        copies = _some(protected, known)
        planted += len(known)
        found += len(_exact(copies, protected))
    if protected.thumbs is not None:
        shown = [row for row in rows if detail(protected.thumbs[row]).any()]
        if shown:
            changed = [_changed(protected.thumbs[row], i) for i, row in enumerate(shown)]
            planted += len(shown)
            found += len(_near(np.stack(changed), protected.thumbs))
    elif protected.vectors is not None:
        copies = _some(protected, rows)
        planted += len(rows)
        found += len(_semantic(copies, protected, threshold))
    return planted, found


def _some(prints: Prints, rows: list[int]) -> Prints:
    return Prints(
        tuple(prints.names[row] for row in rows),
        tuple(prints.hashes[row] for row in rows),
        tuple(prints.pixel_hashes[row] for row in rows),
        None if prints.thumbs is None else prints.thumbs[rows],
        None if prints.vectors is None else prints.vectors[rows],
        prints.model,
    )


def _changed(thumb: np.ndarray, number: int) -> np.ndarray:
    """A thumbnail turned, and every other one cropped to nine tenths or eight."""
    if number % 2:
        side, top, left = WINDOWS[1 + number % (len(WINDOWS) - 1)]
        y, x, n = round(top * SIDE), round(left * SIDE), round(side * SIDE)
        thumb = cv2.resize(
            thumb[y : y + n, x : x + n], (SIDE, SIDE), interpolation=cv2.INTER_LINEAR
        )
    return turned(thumb, 1 + number % 7)


def _exact(pictures: Pictures, protected: Prints) -> dict[int, Match]:
    rows: dict[str, int] = {}
    for known in (protected.hashes, protected.pixel_hashes):
        for row, value in enumerate(known):
            if value:
                rows.setdefault(value, row)
    found: dict[int, Match] = {}
    for shown in (pictures.hashes, pictures.pixel_hashes):
        for row, value in enumerate(shown):
            if value in rows:
                found.setdefault(row, Match(rows[value], reason="exact", similarity=1.0))
    return found


def _near(thumbs: np.ndarray, protected: np.ndarray) -> dict[int, Match]:
    tried: dict[int, list[tuple[int, float]]] = defaultdict(list)
    for c in candidates(thumbs, among=protected):
        alike = located(thumbs[c.whole], protected[c.part], c.window, c.orientation)
        tried[c.whole].append((c.part, alike))
    for c in candidates(protected, among=thumbs):
        alike = located(protected[c.whole], thumbs[c.part], c.window, c.orientation)
        tried[c.part].append((c.whole, alike))
    found = {}
    for row, options in sorted(tried.items()):
        best, alike = max(options, key=lambda option: (option[1], -option[0]))
        if alike >= SAME:
            found[row] = Match(best, reason="near", similarity=alike)
    return found


def _semantic(pictures: Pictures, protected: Prints, threshold: float) -> dict[int, Match]:
    assert pictures.vectors is not None
    assert protected.vectors is not None
    if pictures.vectors.shape[1] != protected.vectors.shape[1]:
        raise Refused(
            f"protect: its embeddings have {protected.vectors.shape[1]} numbers, those of the run "
            f"{pictures.vectors.shape[1]}: they are another model's"
        )
    found = {}
    right = _unit(protected.vectors).T
    check = pictures.thumbs is not None and protected.thumbs is not None
    for start in range(0, len(pictures.vectors), ROWS):
        cosine = _unit(pictures.vectors[start : start + ROWS]) @ right
        for at in np.flatnonzero((cosine >= threshold).any(axis=1)).tolist():
            for best in np.argsort(-cosine[at], kind="stable")[:8].tolist():
                row, alike = start + at, float(cosine[at, best])
                if alike < threshold:
                    break
                if check and not _resembles(pictures, protected, row, best):
                    continue
                found[row] = Match(best, reason="semantic", similarity=alike)
                break
    return found


def _resembles(pictures: Pictures, protected: Prints, row: int, best: int) -> bool:
    assert pictures.thumbs is not None
    assert protected.thumbs is not None
    return located(pictures.thumbs[row], protected.thumbs[best]) >= RESEMBLES


def _unit(vectors: np.ndarray) -> np.ndarray:
    rows = np.asarray(vectors, np.float32)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
