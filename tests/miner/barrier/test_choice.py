"""Which copy of a picture stays."""

from __future__ import annotations

import types

import pyarrow as pa
import pytest

from filters.dedupe.levels import Duplicate
from miner.barrier import choice, run_rows
from miner.barrier.against import Standing


def table(rows: list[tuple[str, list[int], float]]) -> pa.Table:
    """Written rows of (picture, kept masks, sum of their scores), each of a group of its own."""
    text = pa.dictionary(pa.int32(), pa.string())
    return pa.table(
        {
            "group": pa.array([f"group of {image}" for image, _, _ in rows], text),
            "status": pa.array(["written"] * len(rows), text),
            "reason": pa.array([None] * len(rows), text),
            "size": pa.array([1] * len(rows), pa.int64()),
            "image_id": pa.array([image for image, _, _ in rows], text),
            "kept": pa.array([kept for _, kept, _ in rows], pa.list_(pa.int32())),
            "score": pa.array([score for _, _, score in rows], pa.float64()),
        }
    )


@pytest.mark.parametrize(
    ("rows", "stays"),
    [
        ([("a", [0], 0.9), ("b", [0, 1], 0.5)], "b"),  # more masks, whatever they score
        ([("a", [0], 0.7), ("b", [0], 0.9)], "b"),  # as many, better ones
        ([("a", [0], 0.9), ("a", [], 0.0), ("b", [0], 0.8)], "a"),  # its best caption counts
        ([("a", [0], 0.9), ("b", [0], 0.9)], "a"),
    ],
)
def test_of_copies_the_best_grounded_stays(rows, stays, monkeypatch):
    def compared(*given):
        """All are copies of the one with the smallest rank, as `compare.compared` has it."""
        *_, ids, ranks, standing = given
        assert standing == 0
        keeper = ids[min(range(len(ids)), key=lambda i: (*ranks[i], ids[i]))]
        return {i: Duplicate(keeper, "exact", 1.0) for i in ids if i != keeper}

    monkeypatch.setattr(choice, "compared", compared)
    monkeypatch.setattr(
        run_rows, "read_piece", lambda _, piece, columns: table(piece).select(columns)
    )
    nothing = {"shown": None, "near": None}
    config = types.SimpleNamespace(dedupe=None)
    given = types.SimpleNamespace(rows=[rows], config=config, **nothing)
    held = run_rows.RunRows(None, given.rows)
    sharing = choice._drop_duplicates(None, given, held, Standing([], {}, {}))
    images = [image for image, _, _ in rows]
    gone = next(image for image in images if image != stays)
    expected = {stays: ("written", None), gone: ("duplicate", stays)}
    assert list(zip(held.status, held.duplicate_of, strict=True)) == [expected[i] for i in images]
    assert sharing == {f"group of {image}": {stays} for image in ("a", "b")}
