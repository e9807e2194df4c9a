"""A process that finds only what `pip install histomine[EXTRAS]` brings."""

from __future__ import annotations

import functools
import importlib.metadata
import os
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

# Before anything is imported: whatever else lies on this machine is not there.
BLOCK = """
import importlib.abc, sys
class Block(importlib.abc.MetaPathFinder):
    blocked = frozenset({blocked!r})
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in self.blocked:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Block())
"""


def required(extras: tuple[str, ...] = ()) -> list[Requirement]:
    """What pyproject.toml asks for, an extra that names another one resolved."""
    lines = list(PROJECT["dependencies"])
    left = list(extras)
    while left:
        for line in PROJECT["optional-dependencies"][left.pop()]:
            requirement = Requirement(line)
            if requirement.name == PROJECT["name"]:
                left += requirement.extras
            else:
                lines.append(line)
    return [Requirement(line) for line in lines]


def brought(extras: tuple[str, ...] = ()) -> set[str]:
    """Names of the distributions that an installation has, by what those here require."""
    found: dict[str, set[str]] = {}
    left = required(extras)
    while left:
        requirement = left.pop()
        name = canonical(requirement.name)
        if requirement.extras <= found.get(name, {*()}) and name in found:
            continue
        found[name] = found.get(name, set()) | requirement.extras
        try:
            lines = importlib.metadata.requires(name) or ()
        except importlib.metadata.PackageNotFoundError:  # another Python's or platform's
            continue
        for wanted in map(Requirement, lines):
            marks = [{"extra": extra} for extra in ("", *found[name])]
            if wanted.marker is None or any(map(wanted.marker.evaluate, marks)):
                left.append(wanted)
    return set(found)


@functools.cache
def owners() -> Mapping[str, list[str]]:
    """Distributions that hold a module of that name."""
    return importlib.metadata.packages_distributions()


def canonical(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


def run(code: str, *words: str, extras: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Run Python code where modules of other distributions are not found."""
    there = brought(extras) | {"histomine"}
    blocked = {
        module
        for module, holders in owners().items()
        if not any(canonical(holder) in there for holder in holders)
    }
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", BLOCK.format(blocked=sorted(blocked)) + code, *words]
    return subprocess.run(command, capture_output=True, text=True, env=environment)
