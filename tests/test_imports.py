"""Imports follow the pipeline, in no circle, and Ray stays in the runner and its cluster."""

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PIPELINE = ("ner", "segmenters", "filters", "shards")
SOURCES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for room in ("miner", *PIPELINE)
    for path in sorted((ROOT / room).rglob("*.py"))
}


def imported(module: str) -> Iterator[str]:
    """Dotted names that a module imports anywhere in it, inside functions too."""
    for node in ast.walk(ast.parse(SOURCES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = (f"{node.module}.{alias.name}" for alias in node.names)
            yield from (name if name in SOURCES else node.module for name in names)


IMPORTS = {module: sorted(set(imported(module))) for module in SOURCES}


def ways(start: str) -> dict[str, list[str]]:
    """A way of imports to every module of ours that is reached from one, by its name."""
    found: dict[str, list[str]] = {}
    left = [[start]]
    while left:
        way = left.pop(0)
        for name in IMPORTS[way[-1]]:
            if name in SOURCES and name not in found:
                found[name] = [*way, name]
                left.append(found[name])
    return found


@pytest.mark.parametrize("room", PIPELINE)
def test_a_room_needs_no_later_one(room):
    later = PIPELINE[PIPELINE.index(room) + 1 :]
    wrong = [
        " imports ".join(way)
        for module in SOURCES
        if module.split(".")[0] == room
        for name, way in ways(module).items()
        if name.split(".")[0] in later
    ]
    assert not wrong, wrong[0]


def test_the_ground_needs_no_room():
    wrong = [
        f"{module} imports {name}"
        for module in SOURCES
        if module.startswith("miner.core")
        for name in IMPORTS[module]
        if name in SOURCES and not name.startswith("miner.core")
    ]
    assert not wrong


@pytest.mark.parametrize("room", PIPELINE)
def test_of_miner_a_room_needs_the_ground_alone(room):
    """What trains and fits may draw phantoms, too."""
    training = (f"{room}.training", "filters.calibration")
    wrong = [
        f"{module} imports {name}"
        for module in SOURCES
        if module.split(".")[0] == room
        for name in IMPORTS[module]
        if name.split(".")[0] == "miner" and not name.startswith("miner.core")
        if not (name.startswith("miner.demo") and module.startswith(training))
    ]
    assert not wrong


def test_no_imports_go_in_a_circle():
    circles = [" imports ".join(found[m]) for m in SOURCES if m in (found := ways(m))]
    assert not circles, min(circles, key=len)


def test_ray_is_imported_by_the_runner_and_its_cluster_alone():
    users = [m for m, names in IMPORTS.items() if any(n.split(".")[0] == "ray" for n in names)]
    assert "miner.runner" in users
    assert {m for m in users if not m.startswith("miner.cluster.")} == {"miner.runner"}


def test_what_users_see_goes_through_the_terminal():
    """`miner.core.terminal` takes passwords and commands to the terminal out of it."""
    tools = ("miner.core.terminal", "miner.report.notebook")
    past = re.compile(r"\btyper\.echo\(|(?<![\w.])(?:print|Console)\(|\bstd(?:out|err)\.write\(")
    wrong = [
        f"{module}: {line.strip()}"
        for module, path in SOURCES.items()
        if module not in tools and ".training" not in module and ".calibration" not in module
        for line in path.read_text(encoding="utf-8").splitlines()
        if past.search(line)
    ]
    assert not wrong


@functools.cache
def names_of(module: str) -> frozenset[str]:
    """What a module defines or imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(SOURCES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found.update(alias.asname or alias.name for alias in node.names)
    return frozenset(found)


def test_what_is_run_by_hand_names_what_there_is():
    """Benches, verify, chaos and fuzz: no other test imports them."""
    missing = []
    for folder in ("bench", "chaos", "faults", "fuzz", "verify"):
        for path in sorted((ROOT / "tests" / folder).glob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ImportFrom) and node.module in SOURCES:
                    there = names_of(node.module)
                    missing += [
                        f"{path.relative_to(ROOT)}: {node.module}.{alias.name}"
                        for alias in node.names
                        if alias.name not in there and f"{node.module}.{alias.name}" not in SOURCES
                    ]
    assert missing == []
