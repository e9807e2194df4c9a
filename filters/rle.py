"""Many small COCO run-length encodings to one label map, in one pass.

`pycocotools` decodes each object into a picture of its own; with hundreds of nuclei that costs more
than all scores together. The format is that of its `rleToString`: runs in column-major order,
starting with background, five bits a character, each run from the fourth on as the difference to
the one two before.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def decode_labels(counts: Sequence[str], shape: tuple[int, ...]) -> np.ndarray:
    """Label map of single objects.

    Args:
        counts: COCO compressed RLE counts per object.
        shape: (H, W).

    Returns:
        int32 (H, W), 0 background, i + 1 for the object i; where objects overlap the last wins.
    """
    labels = np.zeros((shape[1], shape[0]), np.int32)
    lengths = np.array([len(c) for c in counts], np.int64)
    codes = np.frombuffer("".join(counts).encode("ascii"), np.uint8).astype(np.int64) - 48
    if not len(codes):
        return labels.T
    values, owner = _numbers(codes, np.repeat(np.arange(len(counts)), lengths))
    runs, rank = _undo_differences(values, owner)
    stops = _cumulative(runs, owner)
    # Odd runs are foreground.
    here = (rank % 2 == 1) & (runs > 0)
    starts, size, which = stops[here] - runs[here], runs[here], owner[here]
    offset = np.repeat(starts - (np.cumsum(size) - size), size)
    labels.reshape(-1)[np.arange(len(offset)) + offset] = np.repeat(which + 1, size)
    return np.ascontiguousarray(labels.T)


def _numbers(codes: np.ndarray, owner: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Signed numbers of characters, and the object each belongs to."""
    last = (codes & 0x20) == 0
    number = np.cumsum(last) - last
    first = np.flatnonzero(np.append(True, last[:-1]))
    place = np.arange(len(codes)) - first[number]
    values = np.zeros(int(last.sum()), np.int64)
    np.add.at(values, number, (codes & 0x1F) << (5 * place))
    ends = np.flatnonzero(last)
    # The highest bit of the last character is the sign.
    negative = (codes[ends] & 0x10) > 0
    values[negative] -= np.int64(1) << (5 * (place[ends][negative] + 1))
    return values, owner[ends]


def _undo_differences(values: np.ndarray, owner: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Run lengths, and the rank of each run within its object."""
    begins = np.flatnonzero(np.append(True, owner[1:] != owner[:-1]))
    size = np.diff(np.append(begins, len(owner)))
    rank = np.arange(len(owner)) - np.repeat(begins, size)
    runs = values.copy()
    # Differences begin at rank 3, so ranks 0, 1 and 2 are plain and head their chains.
    for parity in (0, 1):
        chain = np.flatnonzero((rank % 2 == parity) & (rank > 0))
        runs[chain] = _cumulative(values[chain], owner[chain])
    return runs, rank


def _cumulative(values: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """Cumulative sums that begin anew with every owner; owners come in blocks."""
    if not len(values):
        return values
    total = np.cumsum(values)
    begins = np.flatnonzero(np.append(True, owner[1:] != owner[:-1]))
    before = total[begins] - values[begins]
    return total - np.repeat(before, np.diff(np.append(begins, len(owner))))
