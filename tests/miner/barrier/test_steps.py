"""The barrier goes on where it was cut off, in any order of tasks, to the same bytes."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import hashlib
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from miner.barrier import parts as parts_module
from miner.barrier.finish import finish, is_finished
from miner.barrier.outcomes import pictures_of
from miner.barrier.parts import parts
from miner.barrier.pieces import Steps
from miner.barrier.swap import finish_swap
from miner.commits import commit, marks, read_table
from miner.core.errors import Refused
from miner.core.layout import FINISHED, MANIFEST, RUN
from miner.core.store import Store
from miner.load_config import check_config
from shards.validate import validate
from tests.miner.finished import configuration, finished, unit
from tests.miner.report.test_dupes import with_thumbnails


class KilledError(BaseException):
    """The process ends."""


class Mortal(Store):
    """A store whose process is killed when it has written, moved or removed so many files."""

    left = 10**9

    def _one(self) -> None:
        if Mortal.left == 0:
            raise KilledError
        Mortal.left -= 1

    def write(self, name, data):
        self._one()
        super().write(name, data)

    def move(self, name, to):
        self._one()
        super().move(name, to)

    def remove(self, name):
        self._one()
        super().remove(name)

    def below(self, folder):
        return Mortal(super().below(folder).url)

    def __reduce__(self):
        return Mortal, (self.url,)


def everything(store: Store) -> dict[str, bytes]:
    folder = Path(store.url)
    names = [
        FINISHED,
        *(p for f in ("shards", "ledger", "report") for p in (folder / f).rglob("*.*")),
    ]
    return {str(Path(folder, n).relative_to(folder)): (folder / n).read_bytes() for n in names}


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Store:
    return finished(tmp_path_factory.mktemp("plain") / "out")


@pytest.mark.parametrize("fails", [False, True])
def test_no_cycles_are_looked_for_while_a_task_runs(fails, tmp_path):
    looks = []

    def task(place, given):
        looks.append(gc.isenabled())
        if fails:
            raise Refused(given)

    steps = Steps(Store(tmp_path), "digest", map, check=lambda: None)
    with pytest.raises(Refused) if fails else contextlib.nullcontext():
        steps.one("step", task, "given")
    assert (looks, gc.isenabled()) == ([False], True)


def test_units_of_an_earlier_version_have_no_lengths_and_sizes_all_the_same(plain):
    part = parts(marks(plain))[0]
    ids = part.samples(plain, ["image_id"])["image_id"]
    sizes = pictures_of(plain, part, ids, ids.combine_chunks()).sizes
    mark = part.marks[0]
    assert any(sizes.values())
    images = read_table(plain, mark, "images").drop_columns(["data_bytes"])
    earlier = Store(Path(plain.url).parent / "earlier")
    earlier.write_table(f"units/{mark['unit_id']}/images.parquet", images)
    data = earlier.read(f"units/{mark['unit_id']}/images.parquet")
    table = {**mark["tables"]["images"], "sha256": hashlib.sha256(data).hexdigest()}
    before = {**mark, "tables": {**mark["tables"], "images": table}}
    part = dataclasses.replace(part, marks=(before,))
    assert pictures_of(earlier, part, ids, ids.combine_chunks()).sizes == sizes


def test_pictures_with_one_embedding_stay_where_their_layouts_differ(tmp_path):
    store, config = Store(tmp_path / "out"), configuration()
    rng = np.random.default_rng(3)
    for corpus in ("quilt", "pathcap"):
        one = with_thumbnails(unit(rng, corpus))
        same = pa.array([[1.0, 0.0]] * one.images.num_rows, pa.list_(pa.float32()))
        commit(store, f"{corpus}-000000", one.with_columns("images", {"embedding": same}), run="r")
    run = {"config": config.model_dump(mode="json"), "hash": config.digest(), "seed": 0, "run": "r"}
    store.write_json(RUN, run)
    finish(store, config, marks(store))
    ledger = [store.read_table(name) for name in store.names("ledger/samples")]
    status = [value for table in ledger for value in table["status"].to_pylist()]
    assert status.count("written") > 4
    assert "duplicate" not in status


@pytest.fixture
def mined(plain, tmp_path) -> Store:
    """Units without what comes after them."""
    shutil.copytree(Path(plain.url) / "units", tmp_path / "out/units")
    return Store(tmp_path / "out")


@pytest.mark.whole
def test_killed_at_any_write_move_or_removal_it_goes_on_to_the_same_bytes(mined, plain):
    store, found, config = Mortal(mined.url), marks(mined), configuration()
    kills = 0
    for kills in range(40):  # each time a little later
        Mortal.left = 1 + kills
        try:
            finish(store, config, found)
            break
        except KilledError:
            continue
        finally:
            Mortal.left = 10**9
    assert kills >= 10
    assert everything(mined) == everything(plain)
    assert mined.names("barrier") == []
    assert validate(mined).faults == []


def test_killed_while_files_move_the_new_data_set_is_completed(mined, plain):
    store, found, config = Mortal(mined.url), marks(mined), configuration()
    finish(mined, config, found)
    caps = {
        **config.model_dump(mode="json"),
        "sampling": {"caps": [{"by": ["corpus"], "max_samples": 1}]},
    }

    capped = check_config(caps, "test")
    Mortal.left = 10**9
    moved = []
    plain_move = Store.move

    def dying(self, name, to):
        if len(moved) == 3:
            raise KilledError
        moved.append(to)
        plain_move(self, name, to)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "move", dying)
        with pytest.raises(KilledError):
            finish(mined, capped, found)
    assert not mined.exists(MANIFEST)  # nobody reads a mixture
    finish_swap(store)
    assert is_finished(mined, capped, found)
    assert validate(mined).faults == []


@pytest.mark.parametrize(
    "plan",
    [
        {"remove": ["../precious"]},
        {"remove": ["shards/../../precious"]},
        {"remove": ["units/quilt-000000.json"]},
        {"folder": "barrier/..", "put": ["run.json"]},
        {"folder": "barrier/0123456789abcdef/next", "put": ["../precious"]},
        {"folder": "..", "put": ["precious"]},
    ],
)
def test_a_swap_of_somebody_else_touches_nothing_but_a_data_set(mined, plan):
    precious = Path(mined.url).parent / "precious"
    precious.write_text("mine")
    before = {p: p.read_bytes() for p in Path(mined.url).rglob("*") if p.is_file()}
    mined.write_json("barrier/swap.json", {"folder": "barrier/x", "put": [], "remove": [], **plan})
    with pytest.raises(Refused, match=r"barrier/swap\.json: (folder|put|remove)"):
        finish_swap(mined)
    assert precious.read_text() == "mine"
    assert all(path.read_bytes() == data for path, data in before.items())


def test_tasks_in_any_order_give_the_same_bytes(mined, plain):
    def backwards(function, items):
        return map(function, reversed(list(items)))

    finish(mined, configuration(), marks(mined), spread=backwards)
    assert everything(mined) == everything(plain)


def test_parts_are_whole_units_of_one_corpus(monkeypatch):
    monkeypatch.setattr(parts_module, "ROWS", 10)
    sizes = {"a-000000": 4, "a-000001": 7, "a-000002": 1, "b-c-000000": 30, "b-c-000001": 2}
    found = parts({u: {"unit_id": u, "tables": {"samples": {"rows": n}}} for u, n in sizes.items()})
    units = [[mark["unit_id"] for mark in part.marks] for part in found]
    assert units == [["a-000000", "a-000001"], ["a-000002"], ["b-c-000000"], ["b-c-000001"]]
    assert [(p.name, p.corpus, p.number) for p in found] == [
        ("000000", "a", 0),
        ("000001", "a", 1),
        ("000002", "b-c", 0),
        ("000003", "b-c", 1),
    ]
    assert found[0].unit(1, "samples") == slice(4, 11)


def test_a_damaged_piece_is_not_used(mined):
    found, config = marks(mined), configuration()

    def first_two(function, items):
        for n, item in enumerate(items):
            if steps[0] == 3:
                raise KilledError
            yield function(item)
            steps[0] += n == 0

    steps = [0]
    with pytest.raises(KilledError):
        finish(mined, config, found, spread=first_two)
    (piece,) = Path(mined.url).glob("barrier/*/outcomes/000000-rows.parquet")
    data = bytearray(piece.read_bytes())
    data[len(data) // 2] ^= 1
    piece.write_bytes(data)
    with pytest.raises(Refused, match=r"rows\.parquet: changed since it was written; remove"):
        finish(mined, config, found)
    shutil.rmtree(Path(mined.url) / "barrier")
    finish(mined, config, found)
    assert validate(mined).faults == []


FINISH = """
import sys
from miner.barrier.finish import finish
from miner.commits import commit, marks
from miner.core.store import Store
from tests.miner.finished import configuration
store = Store(sys.argv[1])
finish(store, configuration(), marks(store))
"""


@pytest.mark.slow
def test_a_process_killed_ten_times_in_the_barrier_gives_the_same_bytes(mined, plain):
    command = [sys.executable, "-c", FINISH, mined.url]
    rng = random.Random(0)
    for _ in range(10):
        process = subprocess.Popen(command, start_new_session=True)
        began = time.monotonic()
        while not mined.names("barrier") and process.poll() is None:
            if time.monotonic() - began > 60:
                break
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 1.5))
        process.kill()
        process.wait()
    subprocess.run(command, check=True)
    assert everything(mined) == everything(plain)
