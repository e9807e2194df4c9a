"""What a committed unit holds, to the last decimal."""

import dataclasses
import math
import pickle

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from miner.commits import DamagedUnit, commit, forget, marks, read_table
from miner.core.store import Store
from tests.miner.finished import unit


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (0.1234564, 0.123456),
        (0.1234566, 0.123457),
        (123.4567891, 123.456789),
        (-0.0000004, 0.0),
        (1e-6, 1e-6),
        (math.nan, None),
        (math.inf, None),
    ],
)
def test_scores_are_rounded_to_six_decimals(value, stored, tmp_path):
    one = unit(np.random.default_rng(0), "quilt")
    place = one.candidates.column_names.index("confidence")
    values = pa.array([value] * one.candidates.num_rows, pa.float64())
    candidates = one.candidates.set_column(place, "confidence", values)
    store = Store(tmp_path)
    mark = commit(store, "quilt-000000", dataclasses.replace(one, candidates=candidates))
    found = read_table(store, mark, "candidates")["confidence"].to_pylist()
    assert found == [stored] * len(found)
    if stored == 0:
        assert math.copysign(1, found[0]) == 1  # no -0.0, which has other bytes


def test_a_unit_counts_once_its_mark_is_there(tmp_path):
    store, one = Store(tmp_path), unit(np.random.default_rng(0), "quilt")
    mark = commit(store, "quilt-000000", one)
    assert marks(store) == {"quilt-000000": mark}
    masked = sum(counts is not None for counts in one.candidates["counts"].to_pylist())
    assert mark["masks"] == masked > 0
    for name, entry in mark["tables"].items():
        assert entry["bytes"] == (tmp_path / f"units/quilt-000000/{name}.parquet").stat().st_size
        assert entry["rows"] == getattr(one, name).num_rows
    (tmp_path / "units/quilt-000000.json").unlink()
    assert marks(store) == {}


def test_bytes_of_pictures_stay_where_a_mask_was_drawn(tmp_path):
    store, one = Store(tmp_path), unit(np.random.default_rng(0), "quilt")
    bare = "quilt/0.jpg"
    candidates = one.candidates.filter(pc.field("image_id") != bare)
    mark = commit(store, "quilt-000000", dataclasses.replace(one, candidates=candidates))
    before = {row["image_id"]: row["data"] for row in one.images.to_pylist()}
    assert before[bare]
    for row in read_table(store, mark, "images").to_pylist():
        kept = None if row["image_id"] == bare else before[row["image_id"]]
        assert row["data"] == kept, row["image_id"]
        assert row["data_bytes"] == len(kept or b""), row["image_id"]


@pytest.mark.parametrize("name", ["samples", "images", "candidates"])
def test_any_flipped_bit_of_a_table_is_found_and_its_unit_named(name, tmp_path):
    store, one = Store(tmp_path), unit(np.random.default_rng(0), "quilt")
    mark = commit(store, "quilt-000000", one)
    file = tmp_path / f"units/quilt-000000/{name}.parquet"
    whole = file.read_bytes()
    for place in np.linspace(0, len(whole) - 1, 40).astype(int):
        broken = bytearray(whole)
        broken[place] ^= 1 << (place % 8)
        file.write_bytes(broken)
        with pytest.raises(DamagedUnit, match=r"quilt-000000/.*sha256 differs") as caught:
            read_table(store, mark, name)
        assert caught.value.unit_id == "quilt-000000"
    file.unlink()
    with pytest.raises(DamagedUnit, match="missing"):
        read_table(store, mark, name)
    file.write_bytes(whole)
    assert read_table(store, mark, name).num_rows == getattr(one, name).num_rows


def test_a_damaged_unit_goes_from_process_to_process():
    error = pickle.loads(pickle.dumps(DamagedUnit("q-1", "q-1 is damaged")))
    assert (error.unit_id, str(error)) == ("q-1", "q-1 is damaged")


ODD_MARKS = {
    "another shape": lambda mark: [mark],
    "no counts": lambda mark: {k: v for k, v in mark.items() if k != "counts"},
    "counts are none": lambda mark: {**mark, "counts": None},
    "missing is a list": lambda mark: {**mark, "missing": []},
    "a count is text": lambda mark: {**mark, "counts": {"texts": "7"}},
    "masks are a share": lambda mark: {**mark, "masks": 0.5},
    "another unit's": lambda mark: {**mark, "unit_id": "quilt-000001"},
    "a table is left out": lambda mark: {**mark, "tables": {"samples": mark["tables"]["samples"]}},
    "a table without rows": lambda mark: {
        **mark, "tables": {**mark["tables"], "images": {"bytes": 1, "sha256": "0"}}
    },
}  # fmt: skip


@pytest.mark.parametrize("how", ODD_MARKS)
def test_a_mark_of_another_shape_is_named_in_a_line(how, tmp_path):
    store, one = Store(tmp_path), unit(np.random.default_rng(0), "quilt")
    mark = commit(store, "quilt-000000", one)
    store.write_json("units/quilt-000000.json", ODD_MARKS[how](mark))
    with pytest.raises(DamagedUnit, match=r"units/quilt-000000\.json: ") as caught:
        marks(store)
    assert caught.value.unit_id == "quilt-000000"
    assert "\n" not in str(caught.value)


def test_a_mark_that_counts_other_rows_than_its_table_has_is_not_believed(tmp_path):
    store, one = Store(tmp_path), unit(np.random.default_rng(0), "quilt")
    mark = commit(store, "quilt-000000", one)
    mark["tables"]["samples"]["rows"] += 1
    with pytest.raises(DamagedUnit, match=r"samples\.parquet: its mark says"):
        read_table(store, mark, "samples")


def test_a_mark_that_is_no_json_is_named_and_can_be_forgotten(tmp_path):
    store, one = Store(tmp_path), unit(np.random.default_rng(0), "quilt")
    for unit_id in ("quilt-000000", "quilt-000001"):
        commit(store, unit_id, one)
    (tmp_path / "units/quilt-000000.json").write_bytes(b'{"unit_id"\xff')
    with pytest.raises(DamagedUnit, match=r"quilt-000000\.json: not JSON") as caught:
        marks(store)
    forget(store, caught.value.unit_id)
    assert list(marks(store)) == ["quilt-000001"]
