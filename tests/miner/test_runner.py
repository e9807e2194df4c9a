"""What the runner says when Ray, its cluster or a model is not there: one line."""

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
