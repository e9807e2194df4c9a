"""The whole way on a small phantom corpus: the ledger adds up, every way gives the same bytes."""

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from filters.decision import EMBEDDED
from miner.barrier.finish import digest
from miner.commits import marks
from miner.core.store import Store
from miner.load_config import check_config

pytestmark = pytest.mark.whole

CAPTIONS = 36
UNIT_ROWS = 6


def command(corpora: Path, out: Path, *extra: str, python: str = sys.executable) -> list[str]:
    return [
        *(python, "-m", "miner.cli", "run", "quickstart.yaml", "--out", str(out)),
        *(
            part
            for kind in ("quilt", "pathcap", "pathgen")
            for part in ("--corpus", f"{kind}={corpora / kind}")
        ),
        *("--set", f"runner.unit_rows={UNIT_ROWS}"),
        *extra,
    ]


def mine(
    corpora: Path,
    out: Path,
    *extra: str,
    env: dict[str, str] | None = None,
    python: str = sys.executable,
) -> str:
    done = subprocess.run(
        command(corpora, out, *extra, python=python),
        capture_output=True,
        text=True,
        env={**os.environ, **(env or {})},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def shard_bytes(out: Path) -> dict[str, str]:
    files = sorted((out / "shards").iterdir())
    return {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in files}


@pytest.fixture(scope="module")
def corpora(tmp_path_factory) -> Path:
    from miner.demo import write_demo

    folder = tmp_path_factory.mktemp("phantoms with a space")
    write_demo(folder, captions=CAPTIONS, seed=5)
    return folder


@pytest.fixture(scope="module")
def plain(corpora, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("out") / "plain"
    mine(corpora, out, "--no-ray")
    return out


def test_every_row_has_one_state_and_a_reason(plain, corpora):
    rows = [
        row
        for file in (plain / "ledger/samples").glob("*.parquet")
        for row in pq.read_table(file).to_pylist()
    ]
    published = Counter(row["corpus"] for row in rows)
    for corpus, file in (("pathcap", "data.json"), ("pathgen", "PathGen-1.6M.json")):
        assert published[corpus] == len(json.loads((corpora / corpus / file).read_text()))
    assert len({row["sample_id"] for row in rows}) == len(rows) >= CAPTIONS
    assert all((row["reason"] is None) == (row["status"] == "written") for row in rows)
    assert Counter(row["status"] for row in rows)["written"] > 0


def test_outside_reader_finds_no_broken_contract(plain, corpora, shared):
    checker = shared / "contract/check_out.py"
    done = subprocess.run([sys.executable, checker, plain, corpora], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_second_run_has_nothing_to_do(plain, corpora):
    before = shard_bytes(plain)
    (plain / "report/audit.ipynb").unlink()  # as if killed while the report was written
    assert "Nothing was left to do" in mine(corpora, plain)
    assert shard_bytes(plain) == before
    assert (plain / "report/audit.ipynb").exists()


def test_another_configuration_is_refused_with_the_difference(plain, corpora):
    done = subprocess.run(
        command(corpora, plain, "--no-ray", "--set", "seed=9"), capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "seed: 0 -> 9; give --set seed=0 to go on with it, or choose another" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_setting_that_came_later_is_what_it_is_by_default(plain, corpora, tmp_path):
    out = shutil.copytree(plain, tmp_path / "out")
    store = Store(str(out))
    begun = store.read_json("run.json")
    config = check_config({**begun["config"], "out": str(out)}, "run.json")
    earlier = begun["identity"]
    del earlier["shards"]["keep_ignored"], earlier["ner"]
    del earlier["corpora"][0]["compound"]
    hashed = hashlib.sha256(json.dumps(earlier, sort_keys=True).encode()).hexdigest()
    store.write_json("run.json", {**begun, "identity": earlier, "hash": hashed})
    finished = store.read_json("finished.json")
    made = digest(store, config, marks(store), hashed)
    store.write_json("finished.json", {**finished, "digest": made})
    for _ in range(2):
        assert "Nothing was left to do" in mine(corpora, out, "--no-ray")
        assert store.read_json("run.json")["hash"] == hashed
    other = command(corpora, out, "--no-ray", "--set", "shards.keep_ignored=true")
    refused = subprocess.run(other, capture_output=True, text=True)
    assert "configuration: shards.keep_ignored: false -> true; miner refilter" in refused.stderr


def test_a_decision_counts_by_its_content_and_not_by_its_name(plain, corpora, tmp_path):
    out = shutil.copytree(plain, tmp_path / "out")
    names = [tmp_path / name for name in ("one.json", "two.json")]
    value = json.loads(EMBEDDED.read_text())
    for file in names:
        file.write_text(json.dumps({**value, "sources": ["mine"]}))
    change = f"filters.decision={names[0]}"
    refiltered = [sys.executable, "-m", "miner.cli", "refilter", str(out), "--set", change]
    subprocess.run(refiltered, check=True, capture_output=True)
    for file in names:
        said = mine(corpora, out, "--no-ray", "--set", f"filters.decision={file}")
        assert "Nothing was left to do." in said
    names[0].write_text(json.dumps({**value, "sources": ["others"]}))
    again = command(corpora, out, "--no-ray", "--set", change)
    refused = subprocess.run(again, capture_output=True, text=True)
    assert refused.returncode == 2
    assert "made with another configuration: filters.decision: " in refused.stderr
    assert refused.stderr.count("filters.decision: ") == 1
    assert f"miner refilter {out} --set filters.decision=" in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_before_the_first_unit_another_configuration_is_welcome(corpora, tmp_path):
    out = tmp_path / "out"
    for model, said in (("/models/none", "no such folder"), ("./none", "no such folder")):
        done = subprocess.run(
            command(corpora, out, "--no-ray", "--set", f"filters.clip.model={model}"),
            capture_output=True,
            text=True,
        )
        assert (done.returncode, said in done.stderr) == (2, True), done.stderr


def test_ray_gives_the_same_bytes_in_an_environment_whose_path_has_a_space(
    plain, corpora, tmp_path
):
    out = tmp_path / "ray"
    environment = tmp_path / "virtual environment"
    environment.symlink_to(sys.prefix)
    python = str(environment / Path(sys.executable).relative_to(sys.prefix))
    mine(corpora, out, "--workers", "2", python=python)
    assert shard_bytes(out) == shard_bytes(plain)


def test_stages_on_actors_of_their_own_give_the_same_bytes(plain, corpora, tmp_path):
    out = tmp_path / "chained"
    mine(corpora, out, "--workers", "1", "--set", "runner.resources.segment.num_cpus=0.5")
    assert shard_bytes(out) == shard_bytes(plain)


def kill_and_resume(corpora: Path, out: Path, kills: int, seed: int, *extra: str) -> None:
    """Kill the whole process group at random moments, then let it finish."""
    rng = random.Random(seed)
    for _ in range(kills):
        process = subprocess.Popen(
            command(corpora, out, *extra),
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(rng.uniform(2, 16))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    mine(corpora, out, *extra)


def test_killed_and_resumed_gives_the_same_bytes(plain, corpora, tmp_path):
    out = tmp_path / "killed"
    kill_and_resume(corpora, out, 2, 0, "--no-ray")
    assert shard_bytes(out) == shard_bytes(plain)


@pytest.mark.slow
def test_killed_ten_times_on_ray_gives_the_same_bytes(plain, corpora, tmp_path):
    out = tmp_path / "killed"
    kill_and_resume(corpora, out, 10, 1, "--workers", "2")
    assert shard_bytes(out) == shard_bytes(plain)


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2", "3"])
def test_any_number_of_workers_gives_the_same_bytes(plain, corpora, tmp_path, workers):
    out = tmp_path / workers
    mine(corpora, out, "--workers", workers)
    assert shard_bytes(out) == shard_bytes(plain)


def test_a_damaged_unit_is_mined_again_and_gives_the_same_bytes(plain, corpora, tmp_path):
    out = shutil.copytree(plain, tmp_path / "out")
    (out / "finished.json").unlink()
    table = next(iter(sorted(out.glob("units/quilt-*/candidates.parquet"))))
    broken = bytearray(table.read_bytes())
    broken[len(broken) // 2] ^= 4
    table.write_bytes(broken)
    refiltered = [sys.executable, "-m", "miner.cli", "refilter", str(out)]
    refused = subprocess.run(refiltered, capture_output=True, text=True)
    assert refused.returncode == 2
    assert f"{table.relative_to(out)}: changed since it was committed" in refused.stderr
    assert refused.stderr.count("\n") == 1
    done = subprocess.run(command(corpora, out, "--no-ray"), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"{table.parent.name} is damaged and mined again" in done.stderr
    assert shard_bytes(out) == shard_bytes(plain)
