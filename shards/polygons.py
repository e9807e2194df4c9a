"""Masks as polygons along pixel edges: exact, unlike contours through pixel centres.

A corner of the outline is a lattice point whose four pixels are not all alike along a straight
edge. Horizontal edges join neighbouring corners of a row in pairs, vertical ones those of a column,
so the rings come out of two sorts.
"""

from __future__ import annotations

import cv2
import numpy as np

Ring = list[tuple[int, int]]  # (x, y) corners, not closed


def rings(mask: np.ndarray) -> list[tuple[Ring, list[Ring]]]:
    """Outer ring and holes of every 4-connected component, in the order of their first corner.

    Args:
        mask: bool or uint8 (H, W).

    Returns:
        (outer, holes) pairs of corners (x, y) in 0..W, 0..H; pixel (x, y) covers x..x+1, y..y+1.
    """
    xs, ys, right, down, inside = _corners(np.asarray(mask, bool))
    count = len(xs)
    if not count:
        return []
    # Order along rows and along columns; `right`, `down` break ties at pinch points.
    by_row = np.lexsort((right, xs, ys))
    by_column = np.lexsort((down, ys, xs))
    across = np.empty(count, np.int64)
    across[by_row[0::2]], across[by_row[1::2]] = by_row[1::2], by_row[0::2]
    along = np.empty(count, np.int64)
    along[by_column[0::2]], along[by_column[1::2]] = by_column[1::2], by_column[0::2]
    found = _cycles(by_row.tolist(), across.tolist(), along.tolist())
    x_list, y_list = xs.tolist(), ys.tolist()
    outer: list[tuple[Ring, list[Ring]]] = []
    holes: list[tuple[Ring, int, int]] = []
    labels = _labels(mask)
    place: dict[int, int] = {}
    for cycle in found:
        ring = [(x_list[i], y_list[i]) for i in cycle]
        x, y = ring[0]  # topmost, then leftmost: the pixel below right tells what is inside
        if inside[cycle[0]]:
            place[int(labels[y, x])] = len(outer)
            outer.append((ring, []))
        else:
            holes.append((ring, x, y))
    for ring, x, y in holes:
        outer[place[int(labels[y - 1, x])]][1].append(ring)
    return outer


def polygons(mask: np.ndarray) -> list[list[int]]:
    """COCO polygons of a mask, one per 4-connected component, disjoint and without hole polygons.

    A hole is reached through a cut of no width, which even-odd filling (pycocotools) cancels.

    Args:
        mask: bool or uint8 (H, W).

    Returns:
        Flat x, y lists of at least 8 numbers; empty for an empty mask.
    """
    result = []
    for ring, holes in rings(mask):
        path = list(ring)
        x0, y0 = ring[0]
        for hole in holes:
            x, _ = hole[0]
            path += [(x0, y0), (x, y0), *hole, hole[0], (x, y0)]
        if holes:
            path.append((x0, y0))
        result.append([v for point in path for v in point])
    return result


def _corners(
    mask: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Corners x, y; which of two at a pinch comes later in its row and column; pixel inside."""
    padded = np.pad(mask, 1)
    a, b = padded[:-1, :-1], padded[:-1, 1:]  # above left, above right of the lattice point
    c, d = padded[1:, :-1], padded[1:, 1:]
    odd = a ^ b ^ c ^ d
    falling, rising = a & d & ~b & ~c, b & c & ~a & ~d
    y1, x1 = np.nonzero(odd)
    y2, x2 = np.nonzero(falling)
    y3, x3 = np.nonzero(rising)
    none, one, two = np.zeros(len(x1), int), np.zeros(len(x2), int), np.zeros(len(x3), int)
    # Each pinch is two corners. Falling: (left, up) and (right, down); rising: (left, down) and
    # (right, up): either way a ring turns round its own pixel, so components are 4-connected.
    xs = np.concatenate([x1, x2, x2, x3, x3])
    ys = np.concatenate([y1, y2, y2, y3, y3])
    right = np.concatenate([none, one, one + 1, two, two + 1])
    down = np.concatenate([none, one, one + 1, two + 1, two])
    # The first corner of a ring has its edges right and down, so the pixel between them tells.
    return xs, ys, right, down, d[ys, xs]


def _cycles(order: list[int], across: list[int], along: list[int]) -> list[list[int]]:
    """Follow horizontal and vertical edges in turn until every corner is used."""
    used = [False] * len(order)
    found = []
    for start in order:
        if used[start]:
            continue
        cycle, at = [], start
        while not used[at]:
            used[at] = True
            cycle.append(at)
            at = across[at]
            used[at] = True
            cycle.append(at)
            at = along[at]
        found.append(cycle)
    return found


def _labels(mask: np.ndarray) -> np.ndarray:
    return cv2.connectedComponents(np.ascontiguousarray(mask, np.uint8), connectivity=4)[1]
