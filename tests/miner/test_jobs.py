"""`ray job submit -- miner run CONFIG` on a local head gives the same bytes."""

import hashlib
import os
import secrets
import socket
import subprocess
import sys
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@pytest.fixture
def head(tmp_path, monkeypatch):
    """Address of the dashboard of a Ray head of our own, which takes jobs with its token only."""
    gcs, dashboard = free_port(), free_port()
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
    env = {k: v for k, v in os.environ.items() if k != "RAY_ADDRESS"}
    start = [
        *(BIN / "ray", "start", "--head", "--num-cpus=2", "--disable-usage-stats"),
        *(f"--port={gcs}", f"--dashboard-port={dashboard}", "--dashboard-agent-listen-port=0"),
        *("--min-worker-port=0", "--max-worker-port=0", "--block"),
    ]
    process = subprocess.Popen(
        start, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    yield f"http://127.0.0.1:{dashboard}"
    os.killpg(process.pid, 15)
    process.wait()


def shards(out: Path) -> dict[str, str]:
    return {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in (out / "shards").iterdir()}


@pytest.mark.slow
def test_a_submitted_job_gives_the_same_bytes(head, tmp_path):
    from miner.demo import write_demo

    corpora = tmp_path / "corpora"
    write_demo(corpora, captions=24, seed=2)
    corpus = [f"--corpus=quilt={corpora / 'quilt'}", f"--corpus=pathcap={corpora / 'pathcap'}"]
    run = [BIN / "miner", "run", "quickstart.yaml", *corpus]
    subprocess.run([*run, "--no-ray", "--out", tmp_path / "plain"], check=True)
    submit = [BIN / "ray", "job", "submit", "--address", head, "--"]
    for _ in range(20):  # the head takes seconds to answer
        done = subprocess.run(
            [*submit, *run, "--out", tmp_path / "job"], capture_output=True, text=True
        )
        if "Failed to connect" not in done.stdout + done.stderr:
            break
    assert done.returncode == 0, done.stdout + done.stderr
    assert shards(tmp_path / "job") == shards(tmp_path / "plain")
