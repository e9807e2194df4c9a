import errno
import pickle

import numpy as np
import pyarrow as pa
import pytest

from miner.core import store as store_module
from miner.core.errors import Refused
from miner.core.store import DamagedFile, Store


@pytest.fixture(params=["local", "memory"])
def store(request, tmp_path):
    local = request.param == "local"
    store = Store(tmp_path / "out" if local else f"memory://{tmp_path.name}/out")
    yield store
    store.remove("")


def test_files_come_back(store):
    store.write("a/b.bin", b"1")
    store.write_json("a/c.json", {"µ": 1})
    table = pa.table({"x": [1, 2], "y": ["a", None]})
    store.write_table("a/d.parquet", table)
    assert store.read("a/b.bin") == b"1"
    assert store.read_json("a/c.json") == {"µ": 1}
    assert store.read_table("a/d.parquet").equals(table)
    assert store.read_table("a/d.parquet", ["y"]).column_names == ["y"]
    assert store.names("a") == ["a/b.bin", "a/c.json", "a/d.parquet"]
    assert store.names("a", ".json") == ["a/c.json"]
    assert store.names("nothing") == []


def test_a_failed_write_leaves_the_old_file_and_nothing_else(store):
    store.write("a", b"old")

    def fail():
        with store.writer("a") as file:
            file.write(b"new")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fail()
    assert store.read("a") == b"old"
    assert [path.rsplit("/", 1)[-1] for path in store.fs.ls(store.root, detail=False)] == ["a"]


def test_sweep_removes_only_what_was_left_half_written(tmp_path):
    store = Store(tmp_path / "out")
    store.write("shards/train-000000.tar", b"1")
    (tmp_path / "out/shards/train-000001.tar.tmp-0a1b2c3d").write_bytes(b"")
    store.sweep()
    assert [p.name for p in (tmp_path / "out/shards").iterdir()] == ["train-000000.tar"]


def test_remove_is_quiet_about_what_is_not_there(store):
    store.write("a/b", b"1")
    store.remove("a/b")
    store.remove("a/b")
    assert not store.exists("a/b")


def test_a_store_travels_to_another_process(store):
    store.write("a", b"1")
    assert pickle.loads(pickle.dumps(store)).read("a") == b"1"


@pytest.mark.parametrize(
    "data", [b'{"a": [1, ', b"", b"\xff\xfe\x00{", b"\x80abc", b"[" * 100_000], ids=repr
)
def test_what_is_no_json_is_named_in_one_line(store, data):
    store.write("a/b.json", data)
    with pytest.raises(DamagedFile) as caught:
        store.read_json("a/b.json")
    _names(caught.value, store.shown("a/b.json"), "not JSON")


def test_no_whole_parquet_is_named_in_one_line(store):
    store.write_table("a.parquet", pa.table({"x": list(range(1000)), "y": ["text"] * 1000}))
    whole = store.read("a.parquet")
    broken = [whole[:size] for size in (0, 3, 8, len(whole) // 2, len(whole) - 1)]
    broken += [b"\xff" * 100, whole[:4] + bytes(200) + whole[204:]]
    for data in broken:
        store.write("a.parquet", data)
        with pytest.raises(DamagedFile) as caught:
            store.read_table("a.parquet")
        _names(caught.value, store.shown("a.parquet"), "not readable as parquet")


def _names(error, path, what):
    assert str(error).startswith(f"{path}: {what}: ")
    assert "\n" not in str(error)
    assert isinstance(error, Refused)
    travelled = pickle.loads(pickle.dumps(error))
    assert (str(travelled), travelled.why) == (str(error), error.why)


def test_a_flipped_bit_in_a_table_is_found(tmp_path):
    """In the rows, that is; without sums most flips give other numbers instead."""
    store = Store(tmp_path)
    numbers = np.random.default_rng(0).integers(0, 1 << 62, 4000)
    store.write_table("a.parquet", pa.table({"x": numbers}))
    whole = (tmp_path / "a.parquet").read_bytes()
    for place in range(100, 4000 * 7, 997):
        broken = bytearray(whole)
        broken[place] ^= 1 << place % 8
        (tmp_path / "a.parquet").write_bytes(broken)
        with pytest.raises(DamagedFile, match=r"a\.parquet: not readable as parquet"):
            store.read_table("a.parquet")


def test_a_file_that_is_gone_is_not_called_damaged(store):
    with pytest.raises(FileNotFoundError):
        store.read_json("a.json")
    with pytest.raises(FileNotFoundError):
        store.read_table("a.parquet")


def test_what_the_disk_refuses_is_not_called_damaged(tmp_path, monkeypatch):
    store = Store(tmp_path)
    failing = OSError(errno.EIO, "Input/output error")

    def fail(*args, **options):
        raise failing

    monkeypatch.setattr(store_module.pq, "read_table", fail)
    with pytest.raises(OSError, match="Input/output error") as caught:
        store.read_table("a.parquet")
    assert caught.value is failing
