"""Marks: which units count, whose they are, and that many are read at once."""

import pytest

from miner.commits import TABLES, check_marks, keep_marks, marks
from miner.core.errors import Refused
from miner.core.store import Store


class Counting(Store):
    """Counts files that are read."""

    reads = 0

    def read_many(self, names):
        type(self).reads += len(names)
        return super().read_many(names)


def mark(n, masks):
    """The mark of unit number n."""
    tables = {name: {"rows": 1, "bytes": 9, "sha256": "0" * 64} for name in TABLES}
    said = {"unit_id": f"c-{n:06d}", "run": "r", "masks": masks}
    return {**said, "tables": tables, "counts": {}, "missing": {}}


@pytest.fixture
def store(tmp_path):
    Counting.reads = 0
    made = Counting(str(tmp_path))
    for n in range(5):
        made.write_json(f"units/c-{n:06d}.json", mark(n, n))
    return made


def test_marks_in_a_table_are_not_read_one_by_one(store):
    found = marks(store)
    assert [m["masks"] for m in found.values()] == [0, 1, 2, 3, 4]
    keep_marks(store, found, all_=True)
    Counting.reads = 0
    store.write_json("units/c-000005.json", mark(5, 5))
    assert [m["masks"] for m in marks(store).values()] == [0, 1, 2, 3, 4, 5]
    assert Counting.reads == 1


def test_a_unit_whose_mark_was_removed_does_not_count_whatever_the_table_says(store):
    keep_marks(store, marks(store), all_=True)
    store.remove("units/c-000002.json")
    found = marks(store)
    assert "c-000002" not in found
    keep_marks(store, found, all_=True)
    store.write_json("units/c-000002.json", mark(2, 70))
    assert marks(store)["c-000002"]["masks"] == 70


def test_of_several_tables_the_last_counts_and_they_are_joined(store):
    keep_marks(store, {"c-000001": mark(1, 50)})
    keep_marks(store, {"c-000001": mark(1, 60), "c-000002": mark(2, 2)})
    found = marks(store)
    assert found["c-000001"]["masks"] == 60
    keep_marks(store, found, all_=True)
    assert len(store.names("marks")) == 1
    assert marks(store) == found


def test_another_run_s_units_are_refused_and_named(store):
    found = marks(store)
    check_marks(store, found, "r")
    with pytest.raises(Refused, match=r"^out: .*2 of 5 units are another run's.*c-000001\.json"):
        check_marks(store, found | {"c-000001": {"run": "x"}, "c-000003": {}}, "r")


def test_a_kept_mark_that_is_damaged_gives_way_to_the_unit_s_own_file(store):
    found = marks(store)
    for odd in ({}, {"counts": []}, mark(4, 1), {**mark(1, 1), "tables": {}}):
        keep_marks(store, {**found, "c-000001": odd})
        assert marks(store) == found


def test_a_table_that_holds_all_marks_is_left_as_it_is(store):
    for marked in (marks(store), marks(store)):
        keep_marks(store, marked, all_=True)
        assert store.names("marks", suffix=".parquet") == ["marks/000000.parquet"]
