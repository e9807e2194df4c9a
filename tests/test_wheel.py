"""The wheel is the same bytes wherever and whenever it is built."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.installed import ROOT

pytest.importorskip("hatchling", reason="builds a wheel; comes with the extra dev")

BUILD = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"
PARTS = ("miner", "ner", "segmenters", "filters", "shards", "configs")
FILES = ("pyproject.toml", "README.md", "LICENSE", "NOTICE")


def built(folder: Path, time_s: int, mask: int) -> Path:
    """A wheel from a copy of what it is made of, with files of another time and mode."""
    for name in PARTS:
        shutil.copytree(
            ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.pyc")
        )
    for name in FILES:
        shutil.copy(ROOT / name, folder / name)
    for path in folder.rglob("*"):
        path.chmod((0o777 if path.is_dir() else 0o666) & ~mask)
        os.utime(path, (time_s, time_s))
    environment = {k: v for k, v in os.environ.items() if k != "SOURCE_DATE_EPOCH"}
    done = subprocess.run(
        [sys.executable, "-c", BUILD, "."],
        cwd=folder,
        capture_output=True,
        text=True,
        env=environment,
        check=True,
    )
    return folder / done.stdout.splitlines()[-1]


@pytest.mark.whole
def test_a_wheel_built_twice_is_the_same_bytes(tmp_path):
    first = built(tmp_path / "here", 1_000_000_000, 0o022)
    second = built(tmp_path / "in another folder", 1_700_000_000, 0o077)
    assert first.name == second.name
    assert first.read_bytes() == second.read_bytes()
    with zipfile.ZipFile(first) as wheel:
        rooms = {name.split("/")[0] for name in wheel.namelist()}
    assert set(PARTS) <= rooms
    assert "tests" not in rooms
