"""A small OUT that the tests of this room share; they copy it before they break it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.shards.build import build


@pytest.fixture(scope="session")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """OUT with 30 train samples in several tars and 6 val samples; read only."""
    path = tmp_path_factory.mktemp("shards") / "out"
    build(path)
    return path


@pytest.fixture
def copy(out: Path, tmp_path: Path) -> Path:
    """A copy of it that may be broken."""
    return Path(shutil.copytree(out, tmp_path / "copy"))
