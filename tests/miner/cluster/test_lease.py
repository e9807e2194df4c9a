"""One driver at a time writes into an OUT, whatever became of the one before."""

import datetime
import json
import subprocess
import sys
import threading
import time

import pytest

from miner.cluster import lease
from miner.cluster.lease import held, state
from miner.core.errors import Refused
from miner.core.store import Store


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path / "out"))


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(lease, "BEAT_S", 0.02)
    monkeypatch.setattr(lease, "SILENT_S", 0.3)


def elsewhere(store: Store, seen_s_ago: float = 5, **about) -> dict:
    """A lease of a driver on another machine."""
    seen = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=seen_s_ago)
    stamp = seen.isoformat(timespec="seconds")
    value = {"host": "gpu-7", "machine": "gpu-7/b/n", "pid": 12, "began": "3", "beat": 4,
             "since": "2026-11-01T00:00:00+00:00", "seen": stamp, **about}  # fmt: skip
    store.write_json("lease/000003.json", value)
    return value


def test_a_second_driver_is_refused_in_one_line_that_names_the_first(store):
    with held(store), pytest.raises(Refused) as refused, held(store):
        pass
    said = str(refused.value)
    assert "\n" not in said
    assert f"process {lease.os.getpid()}" in said
    assert lease.socket.gethostname() in said
    assert "since 20" in said
    assert "--takeover" in said


def test_nothing_is_left_when_a_run_ends(store):
    with held(store):
        assert state(store).startswith("running: ")
    assert store.names("lease") == []
    assert state(store) == ""


def test_one_that_died_on_this_machine_is_succeeded_at_once(store):
    about = {**lease._me(), "since": lease._now(), "seen": lease._now(), "beat": 0}
    done = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"],
                          capture_output=True, text=True)  # fmt: skip
    store.write_json("lease/000001.json", {**about, "pid": int(done.stdout)})
    assert state(store).startswith("dead since 20")
    with held(store):
        assert store.names("lease") == ["lease/000002.json"]


def test_a_number_used_again_by_another_process_is_not_the_driver(store):
    about = {**lease._me(), "since": lease._now(), "seen": lease._now(), "beat": 0}
    store.write_json("lease/000001.json", {**about, "began": "1"})
    with held(store):
        pass


def test_one_elsewhere_that_stays_silent_is_succeeded(store):
    elsewhere(store)
    said = []
    with held(store, say=said.append):
        assert store.names("lease") == ["lease/000004.json"]
    assert "gpu-7" in said[0]


def test_one_elsewhere_that_is_alive_is_not_whatever_its_clock_says(store):
    about = elsewhere(store, seen_s_ago=1500)
    timer = threading.Timer(0.1, store.write_json, ("lease/000003.json", {**about, "beat": 5}))
    timer.start()
    with pytest.raises(Refused, match="gpu-7"), held(store):
        pass
    timer.join()


def test_takeover_ends_the_first(store):
    with held(store) as first:
        first.check()
        with held(store, takeover=True):
            end = time.monotonic() + 5
            while not first._lost and time.monotonic() < end:
                time.sleep(0.01)
            with pytest.raises(Refused, match="was taken over by"):
                first.check()
            assert state(store).startswith("running")


def compete(store: Store, drivers: int) -> list[str]:
    """What becomes of drivers that start at one moment: `held` or `refused`."""
    barrier, fates = threading.Barrier(drivers), []
    done = threading.Event()

    def drive():
        barrier.wait()
        try:
            with held(store):
                fates.append("held")
                done.wait(2)
        except Refused:
            fates.append("refused")
        if len(fates) == drivers:
            done.set()

    threads = [threading.Thread(target=drive) for _ in range(drivers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(fates)


@pytest.mark.parametrize("dead", [False, True])
def test_of_many_that_start_at_once_one_goes_on(store, dead):
    if dead:
        elsewhere(store, seen_s_ago=2 * lease.FORGOTTEN_S)
    assert compete(store, 8) == ["held"] + ["refused"] * 7


def test_of_many_that_start_at_once_on_an_object_store_one_goes_on(s3):
    store = Store(f"{s3}/lease-test")
    assert compete(store, 4) == ["held"] + ["refused"] * 3
    assert store.names("lease") == []


def test_status_says_how_far_and_who_or_since_when_it_is_dead(store, monkeypatch):
    monkeypatch.setattr(lease, "SILENT_S", 30)
    elsewhere(store, seen_s_ago=0, captions=900, rate=2.5, left_s=7200)
    line = state(store)
    assert line.startswith("running: gpu-7 (process 12), since 2026-11-01")
    assert "2.5 captions/s, 2:00:00 left" in line
    seen = elsewhere(store, seen_s_ago=40)["seen"]
    assert state(store) == f"dead since {seen}: gpu-7 (process 12); the same command goes on"


def test_the_heartbeat_says_what_it_is_told(store):
    with held(store) as mine:
        mine.tell(captions=10, rate=1.0, left_s=3)
        end = time.monotonic() + 5
        while "10 captions" not in state(store) and time.monotonic() < end:
            time.sleep(0.01)
        (name,) = store.names("lease")
        assert json.loads(store.read(name))["beat"] > 0
        assert "1.0 captions/s, 0:00:03 left" in state(store)


def test_a_run_leaves_an_out_alone_that_another_one_is_at_work_in(store, tmp_path):
    from miner.load_config import check_config
    from miner.progress import Lines
    from miner.run import run

    (tmp_path / "a.txt").write_text("Nuclei.")
    (tmp_path / "a.png").write_bytes(b"")
    corpus = {"kind": "pairs", "path": str(tmp_path)}
    config = check_config({"corpora": [corpus], "out": store.url}, "test")
    with held(store):
        with pytest.raises(Refused, match="is mining there since"):
            run(config, Lines(), use_ray=False)
        assert not store.exists("plan")
    (tmp_path / "a.png").unlink()
    with pytest.raises(Refused, match="corpora"):  # and goes on when it has ended
        run(config, Lines(), use_ray=False)
    assert store.names("lease") == []


def test_a_lease_that_could_not_be_removed_holds_nobody_up_and_hides_no_error(store, monkeypatch):
    def full(self, name):
        raise OSError(28, "No space left on device", name)

    with monkeypatch.context() as failing:
        with held(store):
            failing.setattr(Store, "remove", full)
    assert store.names("lease")
    with held(store):
        assert store.names("lease") == ["lease/000002.json"]
