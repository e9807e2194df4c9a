import os
import pickle

import numpy as np
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from miner.core.store import Store
from miner.corpora import plan as planning
from miner.corpora.plan import arrange, cut, make_plan
from miner.corpora.quilt import Quilt
from tests.miner.corpora.layouts import config, quilt_row, read_all, write_quilt

groups = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3)), min_size=1, max_size=60)


@settings(max_examples=60, deadline=None)
@given(groups, st.integers(1, 8))
def test_units_part_no_picture_and_lose_no_row(rows, unit_rows):
    group = np.array([g for g, _ in rows], np.uint64)
    image = np.array([g * 10 + i for g, i in rows], np.uint64)
    order = arrange(group, image, np.zeros(len(rows), np.int64))
    ends = cut(group[order], image[order], unit_rows)
    assert sorted(order) == list(range(len(rows)))
    assert ends[-1] == len(rows)
    assert all(b > a for a, b in zip([0, *ends], ends, strict=False))
    units = np.split(order, ends[:-1])
    seen: dict[int, int] = {}
    for number, unit in enumerate(units):
        for row in unit:
            assert seen.setdefault(image[row], number) == number
        # No unit is larger than asked, but for one picture with more captions.
        sizes = np.unique(image[unit], return_counts=True)[1]
        assert len(unit) < unit_rows + max(sizes)
        for one in np.unique(group[unit]):
            parted = (group == one).sum() > (group[unit] == one).sum()
            assert not parted or (group == one).sum() > unit_rows


def test_pictures_keep_the_order_of_the_table():
    image = np.array([7, 3, 7, 9, 3], np.uint64)
    assert arrange(image, image, np.zeros(5, np.int64)).tolist() == [0, 2, 1, 4, 3]


def test_within_a_group_the_given_order_rules():
    group = np.zeros(3, np.uint64)
    image = np.array([1, 2, 3], np.uint64)
    assert arrange(group, image, np.array([5, 1, 3])).tolist() == [1, 2, 0]


@pytest.fixture
def corpus(tmp_path):
    write_quilt(tmp_path / "quilt", [quilt_row(i) for i in range(30)])
    return config("quilt", tmp_path / "quilt")


def test_refs_are_small_and_numbered(corpus, tmp_path):
    plan = make_plan([corpus], 4, Store(str(tmp_path / "out")))
    refs = list(plan.refs())
    assert [r.unit_id for r in refs] == [f"quilt-{i:06d}" for i in range(8)]
    assert sum(r.rows for r in refs) == 30
    assert plan.units == {"quilt": 8}
    assert plan.images == {"quilt": 30}
    assert len(pickle.dumps(refs[0])) < 300


def test_refs_run_over_the_parts_of_a_plan(corpus, tmp_path, monkeypatch):
    whole = list(make_plan([corpus], 2, Store(str(tmp_path / "a"))).refs())
    monkeypatch.setattr(planning, "PART_UNITS", 4)
    store = Store(str(tmp_path / "b"))
    parts = list(make_plan([corpus], 2, store).refs())
    assert len(store.names("plan/quilt", ".parquet")) == 4
    assert [(r.unit_id, r.rows) for r in parts] == [(r.unit_id, r.rows) for r in whole]


def test_unchanged_files_are_not_read_again(corpus, tmp_path, monkeypatch):
    store = Store(str(tmp_path / "out"))
    first = make_plan([corpus], 4, store)
    monkeypatch.setattr(Quilt, "scan", None)
    assert make_plan([corpus], 4, store).fingerprint == first.fingerprint


def test_changed_files_are_planned_anew(corpus, tmp_path):
    store = Store(str(tmp_path / "out"))
    first = make_plan([corpus], 4, store)
    table = tmp_path / "quilt" / "quilt_1M_lookup.csv"
    os.utime(table, (1, 1))
    touched = make_plan([corpus], 4, store)
    assert touched.fingerprint == first.fingerprint  # times are in no content
    write_quilt(tmp_path / "quilt", [quilt_row(i) for i in range(31)])
    assert make_plan([corpus], 4, store).rows == {"quilt": 31}
    assert make_plan([corpus], 5, store).units == {"quilt": 7}


def test_a_damaged_plan_is_made_anew(corpus, tmp_path):
    store = Store(str(tmp_path / "out"))
    make_plan([corpus], 4, store)
    name = "plan/quilt/units-00000.parquet"
    whole, table = store.read(name), store.read_table(name)
    swapped = table.set_column(1, "row", pc.subtract(29, table["row"])).cast(table.schema)
    store.write_table(name, swapped)  # a table that reads well, and lies
    make_plan([corpus], 4, store)
    assert store.read(name) == whole
    store.remove(name)
    make_plan([corpus], 4, store)
    assert store.read(name) == whole


class Killed(Exception):
    pass


def test_an_interrupted_scan_goes_on_where_it_was(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(planning, "SCAN_ROWS", 4)
    expected = make_plan([corpus], 4, Store(str(tmp_path / "whole")))
    scan = Quilt.scan
    starts = []

    def failing(self, table, start, problems):
        starts.append(start)
        for at, entry in enumerate(scan(self, table, start, problems)):
            if at == 10:
                raise Killed
            yield entry

    monkeypatch.setattr(Quilt, "scan", failing)
    store = Store(str(tmp_path / "out"))
    for _ in range(3):
        with pytest.raises(Killed):
            make_plan([corpus], 4, store)
    plan = make_plan([corpus], 4, store)  # 8 rows are kept of every attempt
    assert starts == sorted(set(starts))
    assert plan.fingerprint == expected.fingerprint
    assert [n for n in store.names("plan/quilt") if "scan-" in n] == []


@pytest.mark.whole
def test_a_damaged_piece_of_an_interrupted_scan_is_scanned_again(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(planning, "SCAN_ROWS", 4)
    expected = make_plan([corpus], 4, Store(str(tmp_path / "whole")))
    store = Store(str(tmp_path / "out"))
    monkeypatch.setattr(planning, "_units", None)
    with pytest.raises(TypeError):
        make_plan([corpus], 4, store)
    monkeypatch.undo()
    pieces = {n: store.read(n) for n in store.names("plan/quilt") if "scan-" in n}
    whole = pieces["plan/quilt/scan-00002.parquet"]
    for place in range(0, len(whole), 29):
        broken = whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]
        for name, data in (pieces | {"plan/quilt/scan-00002.parquet": broken}).items():
            store.write(name, data)
        assert make_plan([corpus], 4, store).fingerprint == expected.fingerprint
        store.remove("plan/quilt.json")


def test_pieces_of_another_files_scan_are_dropped(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(planning, "SCAN_ROWS", 4)
    store = Store(str(tmp_path / "out"))
    monkeypatch.setattr(planning, "_units", None)
    with pytest.raises(TypeError):
        make_plan([corpus], 4, store)
    monkeypatch.undo()
    write_quilt(tmp_path / "quilt", [quilt_row(i) for i in range(5)])
    assert make_plan([corpus], 4, store).rows == {"quilt": 5}


def test_several_corpora_of_one_kind(tmp_path):
    corpora = []
    for name in ("a", "b"):
        write_quilt(tmp_path / name, [quilt_row(i, caption=f"{name} {i}") for i in range(3)])
        corpora.append(config("quilt", tmp_path / name, name=name))
    plan = make_plan(corpora, 4, Store(str(tmp_path / "out")))
    assert plan.rows == {"a": 3, "b": 3}
    assert [r.unit_id for r in plan.refs()] == ["a-000000", "b-000000"]


@pytest.mark.parametrize("kind", ["quilt", "pathcap", "pathgen"])
def test_real_tiles_pass_without_an_unexplained_row(shared, tmp_path, kind):
    samples, images = read_all(config(kind, shared / "data" / "real" / kind), tmp_path / "out", 8)
    assert {s["status"] for s in samples} == {None}
    assert all(i["width"] and i["height"] and len(i["sha256"]) == 64 for i in images.values())
    if kind == "pathgen":
        assert {i["mpp"] for i in images.values()} == {0.25, 0.5, 0.62}
