"""A small OUT that the tests of this room share; they copy it before they break it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.shards.build import build
from tests.shards.mined import Mined, mine


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


@pytest.fixture(scope="session")
def mined(tmp_path_factory: pytest.TempPathFactory) -> Mined:
    """A small run of the whole pipeline with side files; read only."""
    return mine(tmp_path_factory.mktemp("mined"))
