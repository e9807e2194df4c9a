"""A run with inputs and OUT in a bucket gives the shards of a local run."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import fsspec
import pytest

from miner.core.store import Store

pytestmark = pytest.mark.whole

KINDS = ("quilt", "pathcap", "pathgen")


def mine(corpora: str, out: str) -> None:
    command = [sys.executable, "-m", "miner.cli", "run", "quickstart.yaml", "--no-ray"]
    for kind in KINDS:
        command += ["--corpus", f"{kind}={corpora}/{kind}"]
    done = subprocess.run(
        [*command, "--out", out, "--set", "runner.unit_rows=4"],
        capture_output=True,
        text=True,
        env={**os.environ},
    )
    assert done.returncode == 0, done.stderr


def shards(out: str) -> dict[str, str]:
    store = Store(out)
    names = store.names("shards")
    return {name: hashlib.sha256(store.read(name)).hexdigest() for name in names}


@pytest.fixture(scope="module")
def corpora(tmp_path_factory) -> Path:
    from miner.demo import write_demo

    folder = tmp_path_factory.mktemp("phantoms")
    write_demo(folder, captions=9, seed=3)
    return folder


def test_a_run_in_a_bucket_gives_the_same_shards(corpora, s3, tmp_path):
    for kind in KINDS:
        fsspec.filesystem("s3").put(str(corpora / kind), f"bucket/run/{kind}", recursive=True)
    mine(str(corpora), str(tmp_path / "out"))
    mine(f"{s3}/run", f"{s3}/out")
    local = shards(str(tmp_path / "out"))
    assert any(name.endswith(".tar") for name in local)
    assert shards(f"{s3}/out") == local
    # The marks hold without rename: nothing temporary is left.
    store = Store(f"{s3}/out")
    assert [f for f in store.fs.find(store.root) if ".tmp-" in f] == []
