"""What make says when something is not there or not as it should be."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.whole  # starts make


@pytest.fixture
def checkout(tmp_path):
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def make(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", *words], cwd=folder, capture_output=True, text=True)


def test_a_python_that_is_not_there(checkout):
    done = make(checkout, "PYTHON=python0", "quickstart")
    assert done.returncode == 2
    assert "There is no python0 here: install it, or take another with make" in done.stdout


def test_lint_says_how_to_repair_the_layout(checkout):
    tools = checkout / ".venv/bin"
    tools.mkdir(parents=True)
    (tools / "ruff").write_text('#!/bin/sh\n[ "$1" = check ]\n')  # `ruff format --check` fails
    (tools / "ruff").chmod(0o755)
    for stamp in (".installed", ".ready"):
        (checkout / ".venv" / stamp).touch()
    done = make(checkout, "lint")
    assert done.returncode == 2
    assert "make format writes these as they should be" in done.stdout
