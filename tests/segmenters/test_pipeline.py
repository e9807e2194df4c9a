"""Phantom corpora through a reduced, random BiomedParse: the whole way, with and without Ray."""

import hashlib
import json
import os
import subprocess
import sys

import pyarrow.parquet as pq
import pytest

from tests.segmenters.biomedparse.tiny import write_checkpoint

pytestmark = pytest.mark.whole

CAPTIONS = 12


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    from miner.demo import write_demo

    folder = tmp_path_factory.mktemp("pipeline")
    write_demo(folder / "corpora", captions=CAPTIONS, seed=2)
    write_checkpoint(folder / "biomedparse_v1.pt")
    return folder


def mine(place, out, *extra):
    command = [
        *(sys.executable, "-m", "miner.cli", "run", "biomedparse.yaml", "--out", str(out)),
        *(
            part
            for kind in ("quilt", "pathcap", "pathgen")
            for part in ("--corpus", f"{kind}={place / 'corpora' / kind}")
        ),
        *("--set", f"segment.segmenters.0.checkpoint={place / 'biomedparse_v1.pt'}"),
        *("--set", "segment.segmenters.0.tiling={field: whole}"),
        *("--set", "shards.keep_negatives=true"),
        *extra,
    ]
    return subprocess.run(command, capture_output=True, text=True, env=dict(os.environ))


def digests(out):
    return {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for folder in ("shards", "ledger/candidates", "ledger/samples")
        for file in sorted((out / folder).iterdir())
    }


@pytest.fixture(scope="module")
def plain(place):
    """OUT of a run in one process."""
    done = mine(place, place / "plain", "--no-ray")
    assert done.returncode == 0, done.stderr
    return place / "plain"


def test_the_whole_way(place, plain):
    samples = pq.read_table(plain / "ledger/samples")
    assert samples.num_rows == CAPTIONS
    assert samples["status"].null_count == 0
    candidates = pq.read_table(plain / "ledger/candidates").to_pylist()
    assert {c["segmenter"] for c in candidates} == {"biomedparse"}
    assert any(c["area_px"] for c in candidates)
    checkpoint = (place / "biomedparse_v1.pt").read_bytes()
    recorded = json.loads((plain / "run.json").read_text())["files"]
    digest = f"sha256:{hashlib.sha256(checkpoint).hexdigest()}"
    assert recorded["segment.segmenters.0.checkpoint"] == digest


def test_other_weights_under_the_same_path_are_another_run(place, plain):
    path = place / "biomedparse_v1.pt"
    before = path.read_bytes()
    write_checkpoint(path, seed=1)
    refused = mine(place, plain, "--no-ray")
    path.write_bytes(before)
    assert refused.returncode == 2
    assert "segment.segmenters.0.checkpoint" in refused.stderr
    assert refused.stderr.count("\n") == 1


@pytest.mark.slow
def test_fractional_cores_on_ray_give_the_bytes_of_one_process(place, plain):
    fraction = ("--set", "runner.resources={segment: {num_cpus: 0.5}, extract: {num_cpus: 0.25}}")
    done = mine(place, place / "ray", *fraction, "--workers", "1")
    assert done.returncode == 0, done.stderr
    assert digests(place / "ray") == digests(plain)


def test_missing_checkpoint_is_one_line(place):
    done = mine(place, place / "none", "--set", "segment.segmenters.0.checkpoint=absent.pt")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "microsoft/BiomedParse" in done.stderr
