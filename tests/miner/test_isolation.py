"""A row that ends its worker is found and left out; what happens to the machine is waited out."""

import errno
import signal
from types import SimpleNamespace

import pyarrow as pa
import pytest

from miner import isolation, stages
from miner.child import Died, Late, Raised
from miner.core import beacon
from miner.core.errors import Refused
from miner.core.store import Store
from miner.core.unit import CANDIDATES, IMAGES, SAMPLES, Unit
from miner.corpora.plan import UnitRef, make_plan
from miner.isolation import Isolated, IsolatedWorker, left_out, remember, told
from miner.load_config import check_config
from miner.run import LeaveOut
from miner.stages import NAMES
from miner.work import Reported
from tests.bench.memory import write_pairs

ROWS = list(range(10, 26))
REF = UnitRef("c-000000", "c", 0, len(ROWS))
SEGV = Died(-signal.SIGSEGV)


def image_of(row: int) -> str:
    return f"c/{row // 2}.jpg"  # two captions a picture


def unit(rows) -> Unit:
    samples = [dict.fromkeys(SAMPLES.names) | {"row": r, "image_id": image_of(r)} for r in rows]
    pictures = list(dict.fromkeys(image_of(r) for r in rows))
    images = [dict.fromkeys(IMAGES.names) | {"image_id": i} for i in pictures]
    asked = [dict.fromkeys(CANDIDATES.names) | {"image_id": i, "prompt": p}
             for i in pictures for p in ("a", "b")]  # fmt: skip
    return Unit(
        pa.Table.from_pylist(samples, SAMPLES),
        pa.Table.from_pylist(images, IMAGES),
        pa.Table.from_pylist(asked, CANDIDATES),
    )


class World:
    """Stands for the processes: which rows end them, what happens to the machine meanwhile.

    Attributes:
        poison: row -> (stage, whether the picture is known, error).
        trouble: errors of the next answers, whatever is asked.
        most: a process takes no more rows at once.
        asked: rows of every question.
        heeds: leaves out what is to be left out.
    """

    def __init__(self):
        self.poison, self.trouble, self.most, self.asked, self.heeds = {}, [], 99, [], True

    def child(self, config, names, eager):
        return Child(self, eager)


class Child:
    def __init__(self, world, eager):
        self.world, self.eager = world, eager
        self.stage, self.picture, self.rows = "start", None, {}

    def answer(self, late):
        return True

    def close(self):
        pass

    def ask(self, method, *args, late):
        if method == "commit":
            return {"committed": args[1][0].samples["row"].to_pylist(), "unit": args[1][0]}
        out = dict(args[0].isolated)
        only = args[-1] if isinstance(args[-1], frozenset) else frozenset(ROWS)
        rows = [r for r in ROWS if r in only]
        self.world.asked.append(rows)
        self.rows = {image_of(r): [x for x in rows if image_of(x) == image_of(r)] for r in rows}
        self.stage, self.picture = "read", None
        if self.world.trouble:
            raise self.world.trouble.pop(0)
        for stage in ("read", "segment"):
            self.stage = stage
            assert stage == "read" or self.eager, "works without models"
            for row in rows:
                where, known, error = self.world.poison.get(row, ("", False, None))
                if where == stage and not (self.world.heeds and row in out):
                    self.picture = image_of(row) if known else None
                    raise error
            if method == "read":
                return unit(rows)
        if len(rows) > self.world.most:
            raise Raised("MemoryError", "", True)
        if method == "run":
            return unit(rows), Reported({"texts": len(rows)}, {})
        return {"committed": rows, "out": sorted(out.items())}


@pytest.fixture
def world(monkeypatch):
    made = World()
    monkeypatch.setattr(isolation, "Child", made.child)
    monkeypatch.setattr(isolation, "unit_rows", lambda ref, store: ROWS)
    monkeypatch.setattr(isolation.time, "sleep", lambda s: None)
    return made


@pytest.fixture
def worker(tmp_path):
    config = {"corpora": [{"kind": "pairs", "path": "x", "name": "c"}], "out": str(tmp_path)}
    return IsolatedWorker(check_config(config, "test"), NAMES)


def finish(worker: IsolatedWorker):
    """The unit's mark, as the run gets it."""
    ref = REF
    while isinstance(found := worker.process(ref, None), Isolated):
        ref = remember(worker.store, ref, found)
    return found


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("stage", ["read", "segment"])
@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (SEGV, "worker_died"),
        (Died(-signal.SIGABRT), "worker_died"),
        (Died(3), "worker_died"),
        (Late(stopped=False), "timed_out"),
        (Raised("MemoryError", "", True), "out_of_memory"),
        (Raised("KeyError", "x", False), "raised:KeyError"),
    ],
)
@pytest.mark.parametrize("row", [ROWS[0], ROWS[7], ROWS[-1]])
def test_the_single_row_is_found_whatever_it_does(world, worker, error, reason, stage, known, row):
    world.poison = {row: (stage, known, error)}
    assert finish(worker) == {"committed": ROWS, "out": [(row, reason)]}
    assert left_out(worker.store) == {REF.unit_id: ((row, reason),)}


def test_several_rows_of_several_kinds_are_found(world, worker):
    world.poison = {
        11: ("segment", False, SEGV),
        14: ("read", False, SEGV),
        15: ("segment", True, Late(stopped=False)),
        24: ("segment", True, Raised("ValueError", "", False)),
    }
    assert [row for row, _ in finish(worker)["out"]] == sorted(world.poison)


def test_a_known_picture_is_suspected_first(world, worker):
    world.poison = {20: ("segment", True, SEGV)}
    finish(worker)
    assert [20, 21] in world.asked[:3]
    assert len(world.asked) < 8


def test_a_fault_that_does_not_return_leaves_nothing_out(world, worker):
    world.trouble = [SEGV]
    assert finish(worker)["out"] == []
    assert not left_out(worker.store)


@pytest.mark.parametrize(
    "trouble",
    [
        *(Died(-signal.SIGKILL), Died(-signal.SIGTERM), Late(stopped=True)),
        OSError(errno.ECONNRESET, ""),
    ],
)
def test_what_comes_from_outside_is_no_fault_of_a_row(world, worker, trouble):
    world.trouble = [trouble] * 12
    assert finish(worker)["out"] == []


def test_the_kernel_killing_for_memory_is_told_from_an_operator(world, worker, monkeypatch):
    kills = iter(range(100))
    monkeypatch.setattr(isolation, "memory_kills", lambda: next(kills))
    world.poison = {12: ("segment", True, Died(-signal.SIGKILL))}
    assert finish(worker)["out"] == [(12, "out_of_memory")]


def test_a_unit_too_large_as_a_whole_is_done_in_parts_and_joined(world, worker):
    world.most = 5
    mark = finish(worker)
    whole = unit(ROWS)
    assert mark["committed"] == ROWS
    for name in ("samples", "images", "candidates"):
        assert getattr(mark["unit"], name).equals(getattr(whole, name))
    assert not left_out(worker.store)


def test_a_row_that_fails_though_it_is_left_out_ends_the_run_in_one_line(world, worker):
    world.poison, world.heeds = {12: ("segment", True, SEGV)}, False
    with pytest.raises(Refused, match=r"^c-000000: row 12 fails though it is left out"):
        finish(worker)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
def test_a_full_disk_ends_the_run_at_once(world, worker, number):
    world.trouble = [OSError(number, "no", "/out/x")]
    with pytest.raises(OSError, match="no") as error:
        worker.process(REF, None)
    assert error.value.filename == "/out/x"
    assert len(world.asked) == 1


@pytest.mark.parametrize(
    ("took", "limit_s"),
    [([], 600), ([10.0] * 9 + [500.0], 600), ([40.0, 100.0, 9.0], 800)],
)
def test_without_a_limit_of_its_own_it_follows_from_what_units_took(worker, took, limit_s):
    worker.took.extend(took)
    assert worker._limit_s() == limit_s


@pytest.mark.parametrize(("own", "late"), [(None, False), (30.0, True)])
def test_a_limit_of_its_own_is_for_the_unit_else_for_its_silence(worker, monkeypatch, own, late):
    runner = worker.config.runner.model_copy(update={"unit_timeout_s": own})
    worker.config = worker.config.model_copy(update={"runner": runner})
    monkeypatch.setattr(isolation.time, "monotonic", lambda: 1000.0)
    assert worker._late(began=100.0, heard=990.0) == late
    assert worker._late(began=100.0, heard=300.0)


def left_out_one_by_one(store: Store, done: int, faults: int) -> list[str]:
    """Leave one row out of each of some units while others pass; what was said."""
    said = []
    leave_out = LeaveOut(store, SimpleNamespace(note=said.append))
    leave_out.rows = done
    for i in range(faults):
        ref = UnitRef(f"c-{i:06d}", "c", i, len(ROWS))
        leave_out(ref, Isolated({i: fault("worker_died")}))
    return said


def test_what_fails_whatever_the_row_ends_the_run_in_one_line(tmp_path):
    store = Store(str(tmp_path))
    assert len(left_out_one_by_one(store, 10, 23)) == 23
    with pytest.raises(Refused, match=r"^24 of 26 rows fail, which is no matter of the rows"):
        left_out_one_by_one(store, 10, 24)
    assert len(left_out_one_by_one(store, 5 * 24, 24)) == 24  # among so many it may be the rows


def fault(reason: str) -> isolation.Fault:
    return isolation.Fault(reason, "segment", "c/6.jpg", (12, 13), "SIGSEGV")


def test_the_line_names_unit_row_picture_reason_and_stage():
    (line,) = told(REF, Isolated({12: fault("worker_died")}))
    for word in ("c-000000", "row 12", "c/6.jpg", "worker_died", "segment", "SIGSEGV"):
        assert word in line


def test_forgotten_rows_get_another_try(tmp_path):
    store = Store(str(tmp_path))
    remember(store, REF, Isolated({12: fault("worker_died")}))
    store.write_json(f"units/{REF.unit_id}.json", {})
    assert isolation.forget(store) == [REF.unit_id]
    assert left_out(store) == {}
    assert not store.exists(f"units/{REF.unit_id}.json")


class Fussy:
    """A stage that one picture is too much for."""

    def __init__(self, error: Exception):
        self.error = error

    def summary(self):
        return {}

    def __call__(self, unit):
        for row in unit.samples.to_pylist():
            beacon.at(row["image_id"])
            if row["status"] is None and row["image_id"].endswith("000002.png"):
                raise self.error
        return unit


def fussy(folder, monkeypatch, error: Exception) -> tuple[IsolatedWorker, UnitRef]:
    """A worker in this process with such a stage alone, and a unit of five pictures."""
    write_pairs(folder / "pairs", 5)
    monkeypatch.setitem(stages.BUILD, NAMES[0], lambda config: Fussy(error))
    corpora = [{"kind": "pairs", "path": str(folder / "pairs")}]
    settings = {"corpora": corpora, "out": str(folder / "out"), "runner": {"isolation": False}}
    worker = IsolatedWorker(check_config(settings, "test"), NAMES[:1])
    (ref,) = make_plan(worker.config.corpora, 64, worker.store).refs()
    return worker, ref


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("too round"), "raised:ValueError"),
        (MemoryError(), "out_of_memory"),
        (UnicodeError("\ud800"), "raised:UnicodeError"),
    ],
)
def test_without_processes_an_error_costs_its_picture_alone(tmp_path, monkeypatch, error, reason):
    worker, ref = fussy(tmp_path, monkeypatch, error)
    found = worker.process(ref, None)
    (line,) = told(ref, found)
    assert f"row 2, picture pairs/000002.png: {reason} in {NAMES[0]}" in line
    unit, _ = worker.process(remember(worker.store, ref, found), None)
    assert unit.samples["reason"].to_pylist() == [None, None, reason, None, None]


def test_without_processes_a_full_disk_still_ends_the_run(tmp_path, monkeypatch):
    full = OSError(errno.ENOSPC, "No space left on device")
    worker, ref = fussy(tmp_path, monkeypatch, full)
    with pytest.raises(OSError, match="No space left"):
        worker.process(ref, None)
