"""What the runner says when Ray, its cluster or a model is not there: one line."""

import os
import re
import socket
import subprocess
import sys

import pytest

from miner.core.errors import Refused
from miner.load_config import check_config
from tests.miner.corpora.layouts import write_images

pytestmark = pytest.mark.whole  # Ray loads, and starts once


def test_an_address_where_nothing_listens_is_refused_at_once(monkeypatch):
    from miner.runner import cluster

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    monkeypatch.setenv("RAY_ADDRESS", address)
    config = check_config({"corpora": [{"kind": "pairs", "path": "p"}]}, "test")
    with pytest.raises(Refused, match=rf"RAY_ADDRESS={address}: no Ray head answers .*unset it"):
        with cluster(config):
            pass


def test_a_head_that_asks_for_a_token_is_one_line_that_says_what_to_export(tmp_path):
    write_images(tmp_path / "c", ["0.jpg"])
    (tmp_path / "c/0.txt").write_text("Nuclei.")
    run = [sys.executable, "-m", "miner.cli", "run", "quickstart.yaml"]
    run += ["--corpus", f"pairs={tmp_path / 'c'}", "--out", str(tmp_path / "out")]
    with socket.socket() as head:
        head.bind(("127.0.0.1", 0))
        head.listen()
        address = f"127.0.0.1:{head.getsockname()[1]}"
        env = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
        env |= {"RAY_ADDRESS": address, "RAY_AUTH_MODE": "token", "HOME": str(tmp_path)}
        done = subprocess.run(run, env=env, capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    said = f"miner: RAY_ADDRESS={address}: its head asks for a token; export RAY_AUTH_MODE=token"
    assert done.stderr.splitlines()[-1].startswith(said)
    assert "Traceback" not in done.stderr


def test_a_missing_model_is_one_line_on_ray(tmp_path):
    write_images(tmp_path / "c", [f"{i}.jpg" for i in range(4)])
    for i in range(4):
        (tmp_path / "c" / f"{i}.txt").write_text("Nuclei.")
    run = [sys.executable, "-m", "miner.cli", "run", "quickstart.yaml", "--workers", "2"]
    run += ["--corpus", f"pairs={tmp_path / 'c'}", "--out", str(tmp_path / "out")]
    run += ["--set", "filters.clip.model=/models/none", "--set", "runner.unit_rows=1"]
    done = subprocess.run(run, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stdout == ""
    # Ray's own core may note, on a busy machine, that tasks were underway when it was told to end.
    said = [x for x in done.stderr.splitlines() if not re.match(r"\[[-\d]+ [\d:,]+ E ", x)]
    assert said[-1] == "miner: filters.clip.model: /models/none: no such folder"
    assert len(said) == 2, done.stderr  # the other one says how many units there are


def test_a_folder_too_long_for_sockets_is_named(tmp_path, monkeypatch):
    from miner.runner import cluster

    long = tmp_path / ("long" * 25)
    long.mkdir()
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.setenv("TMPDIR", str(long))
    config = check_config({"corpora": [{"kind": "pairs", "path": "p"}]}, "test")
    with pytest.raises(Refused, match=rf"^TMPDIR={long}: too long .* set TMPDIR to a short one"):
        with cluster(config):
            pass
