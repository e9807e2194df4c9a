"""`miner run` over pictures that end whatever decodes them: they are left out, by name."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.bench.memory import write_pairs

POISON = Path(__file__).parent / "poison"
CAPTIONS = 8
REASONS = {
    "segfault": "worker_died",
    "hang": "timed_out",
    "memory": "out_of_memory",
    "raise": "raised:RuntimeError",
}
pytestmark = pytest.mark.whole


def poisoned(folder: Path, acts: dict[int, str]) -> Path:
    write_pairs(folder, CAPTIONS)
    for row, act in acts.items():
        with (folder / f"{row:06d}.png").open("ab") as file:
            file.write(f"poison:{act}".encode())
    return folder


def mine(corpus: Path, out: Path, *extra: str, harmless: bool = False) -> tuple[str, str]:
    """What the run says on standard output and standard error."""
    path = sys.path if harmless else [str(POISON), *sys.path]
    run = [sys.executable, "-m", "miner.cli", "run", "quickstart.yaml", "--out", str(out)]
    run += ["--corpus", f"pairs={corpus}", "--set", "runner.unit_rows=4", *extra]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(path)}
    done = subprocess.run(run, capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def rows(out: Path) -> dict[str, tuple[str, str | None]]:
    """Status and reason by picture."""
    files = (out / "ledger/samples").glob("*.parquet")
    found = [row for file in files for row in pq.read_table(file).to_pylist()]
    return {row["image"]: (row["status"], row["reason"]) for row in found}


def check(out: Path, said: str, acts: dict[int, str]) -> None:
    """These pictures are left out and named with the reason, nobody else is."""
    found = rows(out)
    assert len(found) == CAPTIONS
    for row, act in acts.items():
        name = f"{row:06d}.png"
        reason = REASONS[act.removeprefix("read-")]
        assert found[name] == ("unreadable", reason)
        (line,) = [x for x in said.splitlines() if f"pairs/{name}" in x]
        assert reason in line
    assert Counter(status for status, _ in found.values())["unreadable"] == len(acts)


@pytest.mark.slow
def test_pictures_that_crash_a_decoder_are_left_out_until_they_are_retried(tmp_path):
    acts = {1: "segfault", 6: "memory"}
    corpus, out = poisoned(tmp_path / "corpus", acts), tmp_path / "out"
    check(out, mine(corpus, out, "--no-ray")[1], acts)
    said = mine(corpus, out, "--no-ray")
    assert "Nothing was left to do." in said[0]
    assert "left out" not in said[1]
    mine(corpus, out, "--no-ray", "--retry-isolated", harmless=True)
    assert Counter(status for status, _ in rows(out).values())["unreadable"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("way", [("--no-ray",), ("--workers", "2")])
def test_whatever_a_picture_does_it_is_left_out_and_named(tmp_path, way):
    acts = {0: "segfault", 2: "hang", 3: "raise", 5: "read-memory", 7: "read-hang"}
    corpus, out = poisoned(tmp_path / "corpus", acts), tmp_path / "out"
    said = mine(corpus, out, *way, "--set", "runner.unit_timeout_s=20")[1]
    check(out, said, acts)
