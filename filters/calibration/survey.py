"""What a segmenter finds of all that there is: its answers on tiles whose truth is complete.

Each tile is asked for what is outlined in it exhaustively and for what it surely lacks. An answer
is a row with the scores that a run would give it, and with what it leaves out.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa

from filters.calibration.candidates import absent_from, answers, scored
from filters.calibration.labelled import Labelled, Truth
from filters.calibration.planting import Planted, iou
from filters.stage import Score
from segmenters.protocol import Segmenter

COVERED = 0.5  # share of an object's pixels under the mask from which on it counts as found

SURVEY = pa.schema(
    [
        ("tile", pa.string()),
        ("source", pa.string()),
        ("group", pa.string()),
        ("fold", pa.int64()),
        ("asked", pa.string()),  # the concept, whether it was found or not
        ("present", pa.bool_()),  # whether it is in the picture
        ("recall", pa.float64()),  # share of its pixels under the mask; null where it is absent
        ("reached", pa.float64()),  # share of its objects of which half or more is
        ("true", pa.int64()),  # objects that there are; null for a substance
        ("found", pa.int64()),  # objects that the segmenter tells apart
        ("iou", pa.float64()),
    ]
)


def survey(
    tiles: Iterable[Labelled], segmenter: Segmenter, score: Score, absent: int | None = None
) -> pa.Table:
    """Every answer of a segmenter on complete tiles, with its scores and its truth.

    Args:
        tiles: labelled tiles.
        segmenter: whose answers they are.
        score: measures them.
        absent: how many absent concepts are asked for, None for all.

    Returns:
        `miner.core.unit.CANDIDATES` with scores, null where nothing was found, and `SURVEY`.
    """
    tables = [t for tile in tiles if (t := surveyed(tile, segmenter, score, absent)) is not None]
    return pa.concat_tables(tables, promote_options="default")


def surveyed(
    tile: Labelled, segmenter: Segmenter, score: Score, absent: int | None = None
) -> pa.Table | None:
    """Answers of one tile; see `survey`. None where it was not asked for anything."""
    there = {n: t for n, t in tile.truth.items() if t.exhaustive}
    missing = absent_from(tile, absent)
    given = answers(tile, segmenter, [*there, *missing])
    drawn, rows, silent = [], [], []
    for name, one in given.items():
        truth = there.get(name)
        row = {
            "tile": tile.name,
            "source": tile.source,
            "group": tile.group,
            "fold": tile.fold,
            "asked": name,
            **measured(truth, one.mask, one.labels),
        }
        if one.mask is None or not one.mask.any():
            silent.append(row)
            continue
        rows.append(row)
        came = "asked" if row["present"] else "absent"
        value = row["iou"]
        labels, own = one.labels, one.scores
        drawn.append(
            Planted(name, one.mask, labels, one.confidence, came, value, one.asked_as, own)
        )
    tables = []
    if drawn:
        table = scored(tile, drawn, segmenter.name, score, most=None)
        tables.append(_beside(table, rows))
    if silent:
        tables.append(pa.Table.from_pylist(silent, SURVEY))
    return pa.concat_tables(tables, promote_options="default") if tables else None


def measured(
    truth: Truth | None, mask: np.ndarray | None, labels: np.ndarray | None
) -> dict[str, Any]:
    """What a mask has of the truth: the measures of `SURVEY`.

    Args:
        truth: all of the concept in the picture, None where there is none.
        mask: bool (H, W), None where nothing was found.
        labels: int32 (H, W), its single objects, None where they are not told apart.
    """
    known = None if truth is None else _known(truth)
    found = None if labels is None else len(np.unique(labels[labels > 0]))
    if known is None or not known.any():
        return {
            "present": False, "recall": None, "reached": None, "true": 0, "found": found, "iou": 0.0
        }  # fmt: skip
    under = np.zeros(known.shape, bool) if mask is None else mask
    whole = np.bincount(known.ravel())[1:]
    part = np.bincount(known[under], minlength=len(whole) + 1)[1:]
    objects = whole > 0
    unknown = truth.unknown if truth is not None else None
    return {
        "present": True,
        "recall": float(part.sum() / whole.sum()),
        "reached": float((part[objects] >= COVERED * whole[objects]).mean()),
        "true": int(objects.sum()),
        "found": 0 if mask is None else found,
        "iou": iou(under, known > 0, unknown),
    }


def _known(truth: Truth) -> np.ndarray:
    """Its label map where the truth is known, int32 (H, W), 0 elsewhere."""
    if truth.unknown is None:
        return truth.labels
    return np.where(truth.unknown, 0, truth.labels)


def _beside(table: pa.Table, rows: list[dict[str, Any]]) -> pa.Table:
    """The table with the columns of `SURVEY`."""
    added = pa.Table.from_pylist(rows, SURVEY)
    kept = [n for n in table.column_names if n not in added.column_names]
    table = table.select(kept)
    for field in SURVEY:
        table = table.append_column(field, added[field.name])
    return table
