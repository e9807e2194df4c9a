"""Panels of compound figures, by the gutters between them.

A figure is cut where rows or columns of one light or dark colour run through all of it, then its
pieces again (recursive X-Y cut: G. Nagy and S. Seth, ICPR 1984). Panels get their letters in
reading order: by rows, each from the left.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

# A gutter is that light or dark, in all three colours, and that even: few of its pixels are of a
# letter or of noise.
_LIGHT, _DARK = 232, 24
_EVEN = 0.965
_LEAST_GUTTER_PX = 3
# Panels are at least so large, absolutely and beside what they are cut from.
_LEAST_PANEL_PX = 48
_LEAST_SHARE = 0.12
# Less of a panel than this is tissue: it is a legend or a margin; in a gap between others it is one
# of much glass.
_LEAST_CONTENT, _LEAST_IN_GAP = 0.25, 0.02
_MOST = 8
# Boxes whose extents agree to this share are of one row or column.
_MOSTLY = 0.6


class Panel(NamedTuple):
    """A panel of a figure.

    Attributes:
        letter: A, B, ... in reading order.
        box: x1, y1, x2, y2 in px, end-exclusive.
    """

    letter: str
    box: tuple[int, int, int, int]


def panels(image: np.ndarray) -> list[Panel]:
    """Panels of a figure; none where it is one picture, or more than eight pieces.

    Args:
        image: uint8 (H, W, 3), RGB.
    """
    low, high = image.min(axis=2), image.max(axis=2)
    blank = (low >= _LIGHT).astype(np.uint8) + 2 * (high <= _DARK).astype(np.uint8)
    boxes: list[tuple[int, int, int, int]] = []
    _cut(blank, (0, 0, image.shape[1], image.shape[0]), boxes)
    found = _aligned([b for b in boxes if _content(blank, b) >= _LEAST_CONTENT])
    found += _gaps(blank, found)
    if not 2 <= len(found) <= _MOST:
        return []
    return [Panel(chr(ord("A") + i), box) for i, box in enumerate(_reading_order(found))]


def _content(blank: np.ndarray, box: tuple[int, int, int, int]) -> float:
    x1, y1, x2, y2 = box
    return float((blank[y1:y2, x1:x2] == 0).mean())


def _cut(
    blank: np.ndarray, box: tuple[int, int, int, int], found: list[tuple[int, int, int, int]]
) -> None:
    """Add the pieces of a box, or the box itself where no gutter runs through it."""
    box = _trimmed(blank, box)
    x1, y1, x2, y2 = box
    if min(x2 - x1, y2 - y1) < _LEAST_PANEL_PX:
        return
    inside = blank[y1:y2, x1:x2]
    for axis in (0, 1):  # rows first, then columns
        pieces = _pieces(inside, axis)
        if len(pieces) > 1:
            for start, end in pieces:
                piece = (
                    (x1, y1 + start, x2, y1 + end) if axis == 0 else (x1 + start, y1, x1 + end, y2)
                )
                _cut(blank, piece, found)
            return
    found.append(box)


def _lines(inside: np.ndarray, axis: int) -> np.ndarray:
    """Which rows (axis 0) or columns (axis 1) are of one blank colour, bool."""
    other = 1 - axis
    light, dark = (inside == 1).mean(axis=other), (inside == 2).mean(axis=other)
    return (light >= _EVEN) | (dark >= _EVEN)


def _pieces(inside: np.ndarray, axis: int) -> list[tuple[int, int]]:
    """Stretches between gutters along an axis; a piece too small for a panel joins no other."""
    blank = _lines(inside, axis)
    edges = np.flatnonzero(np.diff(np.concatenate(([True], blank, [True])).astype(np.int8)))
    stretches = [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]
    joined: list[tuple[int, int]] = []
    for start, end in stretches:
        if joined and start - joined[-1][1] < _LEAST_GUTTER_PX:
            joined[-1] = joined[-1][0], end
        else:
            joined.append((start, end))
    least = max(_LEAST_PANEL_PX, _LEAST_SHARE * inside.shape[axis])
    return [(start, end) for start, end in joined if end - start >= least]


def _trimmed(blank: np.ndarray, box: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    """The box without blank lines at its edges."""
    x1, y1, x2, y2 = box
    inside = blank[y1:y2, x1:x2]
    if not inside.size:
        return box
    rows, columns = (np.flatnonzero(~_lines(inside, axis)) for axis in (0, 1))
    if not rows.size or not columns.size:
        return x1, y1, x1, y1
    return (
        x1 + int(columns[0]),
        y1 + int(rows[0]),
        x1 + int(columns[-1]) + 1,
        y1 + int(rows[-1]) + 1,
    )


def _aligned(boxes: list[tuple[int, int, int, int]]) -> list[tuple[int, int, int, int]]:
    """Boxes as tall as their row and as wide as their column: glass at an edge is no gutter."""
    wider = []
    for box in boxes:
        row = [b for b in boxes if _shared(box, b, 1) > _MOSTLY]
        column = [b for b in boxes if _shared(box, b, 0) > _MOSTLY]
        grown = (
            min(b[0] for b in column),
            min(b[1] for b in row),
            max(b[2] for b in column),
            max(b[3] for b in row),
        )
        free = all(b is box or not _overlap(grown, b) for b in boxes)
        wider.append(grown if free else box)
    return wider


def _gaps(
    blank: np.ndarray, boxes: list[tuple[int, int, int, int]]
) -> list[tuple[int, int, int, int]]:
    """Cells of the grid that boxes make which none of them fills, but something does."""
    found: list[tuple[int, int, int, int]] = []
    for row in boxes:
        for column in boxes:
            cell = (column[0], row[1], column[2], row[3])
            taken = any(_overlap(cell, b) for b in [*boxes, *found])
            if not taken and _content(blank, cell) >= _LEAST_IN_GAP:
                found.append(cell)
    return found


def _shared(a: tuple[int, ...], b: tuple[int, ...], axis: int) -> float:
    """Share of the longer of two extents along x (0) or y (1) that both have."""
    both = min(a[axis + 2], b[axis + 2]) - max(a[axis], b[axis])
    return both / max(a[axis + 2] - a[axis], b[axis + 2] - b[axis])


def _overlap(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    return min(a[2], b[2]) > max(a[0], b[0]) and min(a[3], b[3]) > max(a[1], b[1])


def _reading_order(
    boxes: list[tuple[int, int, int, int]],
) -> list[tuple[int, int, int, int]]:
    """By rows, each from the left; a box is in the row whose middle it covers."""
    left = sorted(boxes, key=lambda b: (b[1], b[0]))
    ordered = []
    while left:
        top = left[0]
        row = [b for b in left if b[1] < (top[1] + top[3]) / 2]
        ordered += sorted(row, key=lambda b: b[0])
        left = [b for b in left if b not in row]
    return ordered
