"""Many of COCO's compressed run-length encodings at once: label maps and stacks of masks.

pycocotools makes a picture of its own of each object, and does not say when run lengths do not add
up. With hundreds of nuclei that costs more than all scores together, and in a loader three times
as much as this.

The text holds numbers of five bits a character, lowest first; the sixth bit means that more follows
and the fifth of the last character is the sign. From the fourth number on each is the difference to
the one before the last. Numbers are run lengths down the columns, of 0 and 1 in turn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pycocotools import mask as coco

_MOST = 7  # characters of a number: 35 bits


def encode_labels(labels: np.ndarray) -> list[str]:
    """RLE counts of every object of a label map, in the order of the labels.

    One pass over the map, however many objects it has: its runs are sorted by object, and each
    object's runs are compressed by pycocotools.

    Args:
        labels: int (H, W), 0 background.
    """
    height, width = labels.shape
    flat = np.asarray(labels).ravel(order="F")
    starts = np.flatnonzero(np.concatenate(([True], flat[1:] != flat[:-1])))
    lengths = np.diff(np.append(starts, flat.size))
    values = flat[starts]
    order = np.argsort(values, kind="stable")
    order = order[values[order] > 0]
    edges = np.flatnonzero(np.diff(values[order])) + 1
    return [
        _compress(starts[runs], lengths[runs], height, width)
        for runs in np.split(order, edges)
        if runs.size
    ]


def _compress(starts: np.ndarray, lengths: np.ndarray, height: int, width: int) -> str:
    """Compressed counts of one object from its runs in Fortran order, ascending."""
    ends = starts + lengths
    counts = np.empty(2 * len(starts) + 1, dtype=np.int64)
    counts[0:-1:2] = starts - np.concatenate(([0], ends[:-1]))
    counts[1::2] = lengths
    counts[-1] = height * width - ends[-1]
    size = [height, width]
    # An object that ends with the picture has no run after it.
    runs = counts.tolist() if counts[-1] else counts[:-1].tolist()
    packed = coco.frPyObjects({"size": size, "counts": runs}, height, width)
    return packed["counts"].decode("ascii")


def run_lengths(texts: Sequence[str]) -> list[np.ndarray]:
    """Run lengths of some texts, int64 (k,) each.

    Raises:
        ValueError: not such a text: other characters, or cut off in a number.
    """
    values, begins = _numbers(texts)
    runs = np.split(values, begins[1:])
    for one in runs:
        one[1::2] = np.cumsum(one[1::2])
        one[2::2] = np.cumsum(one[2::2])
    return runs


def decode_labels(counts: Sequence[str], shape: tuple[int, ...]) -> np.ndarray:
    """Label map of single objects.

    Args:
        counts: COCO compressed RLE counts per object.
        shape: (H, W).

    Returns:
        int32 (H, W), 0 background, i + 1 for the object i; where objects overlap the last wins.

    Raises:
        ValueError: not such a text: other characters, or cut off in a number; or its runs do not
            add up to the shape.
    """
    labels = np.zeros((shape[1], shape[0]), np.int32)
    if not counts:
        return labels.T
    values, begins = _numbers(counts)
    runs, rank, owner = _undo_differences(values, begins)
    stops = _cumulative(runs, owner)
    ends = stops[np.append(begins[1:], len(runs)) - 1]
    if (runs < 0).any() or (ends != labels.size).any():
        raise ValueError("the run lengths of an object do not add up to the size")
    # Odd runs are foreground.
    here = (rank % 2 == 1) & (runs > 0)
    starts, size, which = stops[here] - runs[here], runs[here], owner[here]
    offset = np.repeat(starts - (np.cumsum(size) - size), size)
    labels.reshape(-1)[np.arange(len(offset)) + offset] = np.repeat(which + 1, size)
    return np.ascontiguousarray(labels.T)


def decode_masks(rles: Sequence[Mapping[str, Any]], height: int, width: int) -> np.ndarray:
    """Decode COCO compressed RLEs, uint8 (n, H, W) with 0 and 1.

    Raises:
        ValueError: the size of an RLE is not the image's, or its runs do not add up to it.
    """
    if not rles:
        return np.zeros((0, height, width), np.uint8)
    for rle in rles:
        if list(rle["size"]) != [height, width]:
            raise ValueError(f"RLE of size {rle['size']}, the image is {[height, width]}")
    runs = run_lengths([rle["counts"] for rle in rles])
    for number, one in enumerate(runs):
        if one.min() < 0 or one.sum() != height * width:
            raise ValueError(f"mask {number}: run lengths do not add up to the size")
    inks = np.zeros(sum(len(one) for one in runs), np.uint8)
    at = 0
    for one in runs:
        inks[at + 1 : at + len(one) : 2] = 1
        at += len(one)
    flat = np.repeat(inks, np.concatenate(runs))
    return flat.reshape(len(rles), width, height).transpose(0, 2, 1)


def _numbers(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of some texts in a row, int64 (n,), and where each text's numbers begin."""
    try:
        codes = np.frombuffer("".join(texts).encode("ascii"), np.uint8) - np.uint8(48)
    except UnicodeEncodeError:
        raise ValueError("the run lengths hold other characters than COCO's") from None
    more = codes > 31
    cuts = np.cumsum([len(text) for text in texts])
    if not all(texts) or (codes > 63).any() or more[cuts - 1].any():
        raise ValueError("the run lengths are cut off or hold other characters than COCO's")
    low = codes & 31
    last = np.flatnonzero(~more)
    values = (low[last].astype(np.int64) ^ 16) - 16
    longer = np.flatnonzero(more[last - 1])
    for back in range(1, _MOST + 1):
        if not len(longer):
            break
        at = last[longer] - back
        values[longer] = (values[longer] << 5) + low[at]
        longer = longer[more[at - 1]]
    else:
        raise ValueError("a run length has more than 35 bits")
    return values, np.searchsorted(last, np.concatenate(([0], cuts[:-1])))


def _undo_differences(
    values: np.ndarray, begins: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Run lengths of all objects, the rank of each within its object, and which object that is."""
    size = np.diff(np.append(begins, len(values)))
    owner = np.repeat(np.arange(len(begins)), size)
    rank = np.arange(len(values)) - np.repeat(begins, size)
    runs = values.copy()
    # Differences begin at rank 3, so ranks 0, 1 and 2 are plain and head their chains.
    for parity in (0, 1):
        chain = np.flatnonzero((rank % 2 == parity) & (rank > 0))
        runs[chain] = _cumulative(values[chain], owner[chain])
    return runs, rank, owner


def _cumulative(values: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """Cumulative sums that begin anew with every owner; owners come in blocks."""
    if not len(values):
        return values
    total = np.cumsum(values)
    begins = np.flatnonzero(np.append(True, owner[1:] != owner[:-1]))
    before = total[begins] - values[begins]
    return total - np.repeat(before, np.diff(np.append(begins, len(owner))))
