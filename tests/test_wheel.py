"""The wheel is the same bytes whoever builds it, wherever and whenever."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("miner", "ner", "segmenters", "filters", "shards", "configs")
BUILD = "from hatchling.build import build_wheel; import sys; print(build_wheel(sys.argv[1]))"
pytestmark = pytest.mark.whole


def build(place: Path, umask: int) -> Path:
    """A wheel of a fresh copy of the sources."""
    tree = place / "tree"
    without = shutil.ignore_patterns("__pycache__", "*.pyc")
    for part in PARTS:
        shutil.copytree(ROOT / part, tree / part, ignore=without, copy_function=shutil.copyfile)
    for name in ("pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        shutil.copyfile(ROOT / name, tree / name)
    for path in tree.rglob("*"):
        os.utime(path, (umask * 1e6, umask * 1e6))
        if path.is_file():
            path.chmod(0o666 & ~umask)
    env = {k: v for k, v in os.environ.items() if k != "SOURCE_DATE_EPOCH"}
    command = [sys.executable, "-c", BUILD, str(place)]
    done = subprocess.run(command, cwd=tree, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return place / done.stdout.split()[-1]


def test_two_builds_are_the_same_bytes(tmp_path):
    pytest.importorskip("hatchling", reason="needs hatchling: pip install -e '.[dev]'")
    one, other = build(tmp_path / "a", 0o022), build(tmp_path / "b" / "deeper", 0o022 + 0o055)
    digests = [hashlib.sha256(wheel.read_bytes()).hexdigest() for wheel in (one, other)]
    assert digests[0] == digests[1]
    with zipfile.ZipFile(one) as wheel:
        names = wheel.namelist()
    assert any(name.endswith("licenses/NOTICE") for name in names)
    assert {name.split("/")[0] for name in names if "dist-info" not in name} == set(PARTS)
