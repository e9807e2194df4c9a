"""A run on a cluster on loopback, of which parts are busy or die: it ends with the same bytes."""

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.bench.memory import write_pairs
from tests.miner.cluster.nodes import Nodes, nodes
from tests.miner.test_run import shard_bytes

pytestmark = [pytest.mark.slow, pytest.mark.whole]

HOG = """
import ray, time
ray.init()
@ray.remote(num_cpus=1)
class Hog:
    def ready(self): return True
hog = Hog.remote()
ray.get(hog.ready.remote())
print("up", flush=True)
time.sleep(10_000)
"""


@pytest.fixture(scope="module")
def pairs(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pairs") / "p"
    write_pairs(folder, 60)
    return folder


def command(pairs: Path, out: Path, *extra: str) -> list[str]:
    return [
        *(sys.executable, "-m", "miner.cli", "run", "quickstart.yaml"),
        *("--corpus", f"pairs={pairs}", "--out", str(out), "--set", "runner.unit_rows=2", *extra),
    ]


@pytest.fixture(scope="module")
def plain(pairs, tmp_path_factory) -> dict[str, str]:
    out = tmp_path_factory.mktemp("out") / "plain"
    subprocess.run(command(pairs, out, "--no-ray"), check=True, capture_output=True)
    return shard_bytes(out)


def begin(cluster: Nodes, pairs: Path, out: Path, *extra: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(pairs, out, *extra),
        env={**cluster.environment, "RAY_ADDRESS": cluster.address},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def until(out: Path, units: int, process: subprocess.Popen[str]) -> None:
    while len(list(out.glob("units/*.json"))) < units:
        assert process.poll() is None, process.communicate()
        time.sleep(0.2)


def occupy(cluster: Nodes) -> subprocess.Popen[str]:
    """Somebody else's job, which holds a CPU until it is killed."""
    env = {**cluster.environment, "RAY_ADDRESS": cluster.address}
    hog = subprocess.Popen([sys.executable, "-c", HOG], env=env, stdout=subprocess.PIPE, text=True)
    assert hog.stdout is not None
    assert hog.stdout.readline() == "up\n"
    return hog


def test_workers_without_room_are_said_and_the_run_ends_with_those_that_get_it(
    pairs, plain, tmp_path
):
    with nodes(1, 1) as cluster:
        hogs = [occupy(cluster), occupy(cluster)]
        run = begin(cluster, pairs, tmp_path / "out", "--workers", "2")
        assert run.stderr is not None
        said = ""
        while "2 of 2 workers wait for CPU" not in said:
            line = run.stderr.readline()
            assert line, said
            said += line
        hogs[0].kill()
        _, rest = run.communicate(timeout=300)
        assert hogs[1].poll() is None
        for hog in hogs:
            hog.kill()
            hog.wait()
    assert run.returncode == 0, said + rest
    assert shard_bytes(tmp_path / "out") == plain


def test_a_node_lost_with_its_busy_worker_costs_no_unit(pairs, plain, tmp_path):
    with nodes(1, 1) as cluster:
        run = begin(cluster, pairs, tmp_path / "out", "--workers", "2")
        until(tmp_path / "out", 4, run)
        cluster.kill(cluster.processes[1])
        _, said = run.communicate()
    assert run.returncode == 0, said
    assert "is gone; others do its" in said
    assert shard_bytes(tmp_path / "out") == plain


def test_a_lost_head_is_one_line_that_says_what_to_type(pairs, tmp_path):
    with nodes(1) as cluster:
        run = begin(cluster, pairs, tmp_path / "out")
        until(tmp_path / "out", 2, run)
        cluster.kill(cluster.processes[0])
        _, said = run.communicate(timeout=180)
    assert run.returncode == 2, said
    port = cluster.address.rpartition(":")[2]
    line = rf"miner: the Ray head at \S+:{port} is gone; start one \(ray start --head\) and run"
    assert re.match(line, said.splitlines()[-1]), said
