"""Nobody else's `filters` or `ner` is taken for ours, and configurations lie beside `miner`."""

import importlib.metadata
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from miner.core import rooms
from miner.core.errors import Refused
from miner.core.read_settings import read_yaml


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An installation of our rooms' `__init__.py`, found first."""
    for room in rooms.ROOMS:
        (tmp_path / "site" / room).mkdir(parents=True)
        shutil.copy(rooms.HOME / room / "__init__.py", tmp_path / "site" / room)
    monkeypatch.setattr(rooms, "HOME", tmp_path / "site")
    monkeypatch.setattr(rooms, "check_rooms", rooms.check_rooms.__wrapped__)
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site"), *sys.path])
    for room in rooms.ROOMS:
        monkeypatch.delitem(sys.modules, room, raising=False)
    return tmp_path / "site"


def distribution(folder: Path, name: str, room: str) -> None:
    """A foreign package, as pip would leave it in a folder."""
    (folder / room).mkdir(parents=True, exist_ok=True)
    (folder / room / "__init__.py").write_text('"""Low-pass, high-pass."""\n')
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "RECORD").write_text(f"{room}/__init__.py,,\n")


def refusal() -> str:
    with pytest.raises(Refused) as refused:
        rooms.check_rooms()
    return str(refused.value)


def test_our_own_rooms_pass(home):
    rooms.check_rooms()


@pytest.mark.parametrize("room", rooms.ROOMS)
def test_a_package_written_over_ours(home, room):
    distribution(home, "foreign", room)
    line = f"{room}: another package is written over {home}/{room}/__init__.py; mend with: "
    assert refusal() == (
        f"{line}pip uninstall foreign && pip install --force-reinstall --no-deps histomine"
    )


@pytest.mark.parametrize("room", rooms.ROOMS)
def test_a_package_found_before_ours(home, room, tmp_path, monkeypatch):
    distribution(tmp_path / "first", "foreign", room)
    monkeypatch.setattr(sys, "path", [str(tmp_path / "first"), *sys.path])
    found, ours = tmp_path / f"first/{room}/__init__.py", home / f"{room}/__init__.py"
    assert refusal() == (
        f"{room}: another package is found at {found} before {ours}; "
        "mend with: pip uninstall foreign"
    )


def test_a_module_of_that_name_in_the_working_directory(home, tmp_path, monkeypatch):
    (tmp_path / "filters.py").write_text("")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(importlib.metadata, "packages_distributions", lambda: {})
    assert refusal().endswith("; rename it, or start elsewhere")


def test_a_room_that_is_gone(home, monkeypatch):
    shutil.rmtree(home / "ner")
    monkeypatch.setattr(sys, "path", [str(home)])
    assert refusal().startswith(f"ner: {home}/ner/__init__.py is not there; mend with: pip")


def test_configurations_lie_beside_miner_whatever_is_called_configs(tmp_path, monkeypatch):
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/__init__.py").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.delitem(sys.modules, "configs", raising=False)
    shipped = Path(rooms.__file__).resolve().parents[2] / "configs"
    for name in os.listdir(shipped):
        if name.endswith(".yaml"):
            assert read_yaml(name) == read_yaml(str(shipped / name))


@pytest.mark.whole
def test_the_command_says_it_in_one_line(tmp_path):
    distribution(tmp_path, "foreign", "filters")
    done = subprocess.run(
        [sys.executable, "-m", "miner.cli", "--help"],
        capture_output=True,
        text=True,
        cwd=tmp_path,  # found first, under `python -m`
        env={**os.environ, "PYTHONPATH": str(rooms.HOME)},
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"miner: filters: another package is found at {tmp_path}/filters")
