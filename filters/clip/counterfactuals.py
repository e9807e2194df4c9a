"""Counterfactual masks and crops: the same shape at other places, and what a region looks like."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

MAX_OVERLAP = 0.5  # a random region may share at most this part of its area with the mask
TRIES = 8
RING_CELLS = 2  # width of the surroundings of a region, in cells of the feature grid
GREY = 224  # fill outside the picture and, with outside="grey", outside the region


def grid_weights(mask: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    """Share of every grid cell that the mask covers.

    Args:
        mask: bool (H, W).
        grid: rows and columns of the feature grid.

    Returns:
        float32 (rows, columns), 0..1.
    """
    size = (grid[1], grid[0])
    return cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA)


def instance_weights(labels: np.ndarray, ids: Sequence[int], grid: tuple[int, int]) -> np.ndarray:
    """`grid_weights` of single objects of a label map, in one pass over its pixels.

    Args:
        labels: int (H, W), 0 background.
        ids: labels of the wanted objects.
        grid: rows and columns of the feature grid.

    Returns:
        float32 (len(ids), rows, columns), 0..1.
    """
    height, width = labels.shape
    rows, columns = grid
    position = np.full(int(labels.max(initial=0)) + 1, -1, dtype=np.int64)
    position[np.asarray(ids, dtype=np.int64)] = np.arange(len(ids))
    ys, xs = np.nonzero(labels)
    which = position[labels[ys, xs]]
    wanted = which >= 0
    cell = (ys[wanted] * rows // height) * columns + xs[wanted] * columns // width
    flat = which[wanted] * (rows * columns) + cell
    counts = np.bincount(flat, minlength=len(ids) * rows * columns)
    per_cell = height * width / (rows * columns)
    shares = counts.reshape(len(ids), rows, columns).astype(np.float32) / per_cell
    return np.minimum(shares, 1.0, dtype=np.float32)


def shift(mask: np.ndarray, dy: int, dx: int) -> np.ndarray:
    """The mask moved by (dy, dx) cells; what leaves on one side comes back on the other."""
    return np.roll(mask, (dy, dx), axis=(0, 1))


def overlap(mask: np.ndarray, other: np.ndarray) -> float:
    """Share of the weight of `mask` that `other` covers too, 0..1."""
    total = float(mask.sum())
    return float(np.minimum(mask, other).sum()) / total if total > 0 else 1.0


def random_regions(weights: np.ndarray, count: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Copies of a region at random places of the picture, mirrored at random.

    Copies that share more than `MAX_OVERLAP` with the region are drawn again, a few times; a
    region that is nearly everywhere may therefore have fewer copies than asked for, or none.

    Args:
        weights: float32 (rows, columns) of the region.
        count: how many.
        rng: source of the places.
    """
    rows, columns = weights.shape
    copies: list[np.ndarray] = []
    for _ in range(count):
        for _ in range(TRIES):
            copy = weights[:: 1 - 2 * int(rng.integers(2)), :: 1 - 2 * int(rng.integers(2))]
            copy = shift(copy, int(rng.integers(rows)), int(rng.integers(columns)))
            if overlap(weights, copy) <= MAX_OVERLAP:
                copies.append(np.ascontiguousarray(copy))
                break
    return copies


def shifted_regions(weights: np.ndarray, step: float) -> list[np.ndarray]:
    """The region moved by `step` cells up, down, left and right.

    Args:
        weights: float32 (rows, columns) of the region.
        step: distance in cells; at least one is taken.
    """
    cells = max(1, round(step))
    return [shift(weights, dy, dx) for dy, dx in ((-cells, 0), (cells, 0), (0, -cells), (0, cells))]


def ring(weights: np.ndarray) -> np.ndarray:
    """The surroundings of a region: what lies within `RING_CELLS` of it and outside of it."""
    side = 2 * RING_CELLS + 1
    near = cv2.dilate(weights, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))
    return np.clip(near - weights, 0.0, 1.0)


def crop(
    image: np.ndarray, mask: np.ndarray, side_px: int, context: float, outside: str
) -> tuple[np.ndarray, np.ndarray]:
    """A square picture of a region with its surroundings.

    Args:
        image: uint8 (H, W, 3), RGB.
        mask: bool (H, W), not empty.
        side_px: side of the result.
        context: side of the square relative to the longer side of the mask's bounding box.
        outside: "blur", "grey" or "keep": what is shown outside the mask.

    Returns:
        The picture, uint8 (side_px, side_px, 3), light grey beyond its border, like empty glass;
        and the mask in it, bool (side_px, side_px).
    """
    ys, xs = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    side = max(8, round(context * max(ys[-1] - ys[0] + 1, xs[-1] - xs[0] + 1)))
    top = int(ys[0] + ys[-1] + 1 - side) // 2
    left = int(xs[0] + xs[-1] + 1 - side) // 2
    y1, x1 = max(top, 0), max(left, 0)
    y2, x2 = min(top + side, image.shape[0]), min(left + side, image.shape[1])
    square = np.full((side, side, 3), GREY, dtype=np.uint8)
    inside = np.zeros((side, side), dtype=bool)
    square[y1 - top : y2 - top, x1 - left : x2 - left] = image[y1:y2, x1:x2]
    inside[y1 - top : y2 - top, x1 - left : x2 - left] = mask[y1:y2, x1:x2]
    method = cv2.INTER_AREA if side > side_px else cv2.INTER_CUBIC
    size = (side_px, side_px)
    # Scaled before it is blurred: the blur of a large square would cost more than the model.
    square = np.asarray(cv2.resize(square, size, interpolation=method), np.uint8)
    share = cv2.resize(inside.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    shown = share >= min(0.5, float(share.max()) / 2)  # specks would vanish at one half
    if outside == "keep":
        return square, shown
    ground = (
        cv2.GaussianBlur(square, (0, 0), side_px / 16)
        if outside == "blur"
        else np.full_like(square, GREY)
    )
    return np.where(shown[:, :, None], square, ground), shown
