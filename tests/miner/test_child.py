"""A worker in a process of its own: whatever it does there, the one who asks goes on."""

import os
import signal
import time
from pathlib import Path

import cv2
import pytest

from miner.child import Child, Died, Late
from miner.core.store import Store
from miner.corpora.plan import make_plan
from miner.demo import render
from miner.load_config import check_config
from miner.stages import NAMES

POISON = Path(__file__).parent / "poison"

pytestmark = pytest.mark.whole


def never(began: float, heard: float) -> bool:
    return False


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    tile = render.tile(3, 128, 0.5, "colon", flaws=0)
    data = cv2.imencode(".jpg", tile.image[..., ::-1])[1].tobytes()
    for i, poison in enumerate((b"", b"poison:read-segfault", b"poison:read-hang")):
        (folder / f"{i}.jpg").write_bytes(data + poison)
        (folder / f"{i}.txt").write_text("Nuclei.")
    corpora = [{"kind": "pairs", "path": str(folder)}]
    return check_config({"corpora": corpora, "out": str(folder / "out")}, "test")


@pytest.fixture
def child(config, monkeypatch):
    monkeypatch.syspath_prepend(POISON)
    made = Child(config, NAMES, eager=False)
    made.answer(never)
    yield made
    made.close()


@pytest.fixture
def ref(config):
    (one,) = make_plan(config.corpora, 64, Store(config.out)).refs()
    return one


def test_it_answers_and_then_says_of_what_it_died(child, ref):
    assert child.ask("read", ref, frozenset({0}), late=never).samples["row"].to_pylist() == [0]
    with pytest.raises(Died, match="SIGSEGV") as died:
        child.ask("read", ref, frozenset({1}), late=never)
    assert died.value.signal == signal.SIGSEGV
    assert child.stage == "read"


def test_it_is_ended_when_it_is_late_and_whether_it_was_stopped_is_told(child, config, ref):
    def soon(began, heard):
        return time.monotonic() - began > 1

    with pytest.raises(Late) as late:
        child.ask("read", ref, frozenset({2}), late=soon)
    assert not late.value.stopped
    other = Child(config, NAMES, eager=False)
    other.answer(never)
    os.kill(other.process.pid, signal.SIGSTOP)
    with pytest.raises(Late) as late:
        other.ask("read", ref, frozenset({0}), late=soon)
    assert late.value.stopped
    assert other.process.poll() is not None
    other.close()


def test_what_ended_a_process_is_named():
    assert (Died(-11).signal, str(Died(-11))) == (11, "SIGSEGV")
    assert (Died(3).signal, str(Died(3))) == (0, "exit 3")
