"""Fixtures that several rooms share."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from miner.core.threads import VARIABLES
from tests.llm_server import Serve, servers

# Before numpy and torch load: on few cores their threads mostly wait for each other.
for name in VARIABLES:
    os.environ.setdefault(name, "1")

# No deadlines: an example that takes long on a busy machine is no fault.
hypothesis.settings.register_profile("unhurried", deadline=None)
hypothesis.settings.load_profile("unhurried")

SHARED = Path(__file__).resolve().parents[2] / "shared"
# Fixtures that stand for a run, a server or the reference data: their tests are marked `whole`.
WHOLE = frozenset({"mined", "s3", "shared"})


def pytest_collection_modifyitems(items: list[pytest.Function]) -> None:
    """Mark what `make unit` leaves out; files with such tests first, where cores share the files.

    They take longest, and no core should wait for another in the end.
    """
    for item in items:
        if WHOLE & set(item.fixturenames):
            item.add_marker("whole")
    if "PYTEST_XDIST_WORKER" in os.environ:
        long = {item.path for item in items if item.get_closest_marker("whole")}
        items.sort(key=lambda item: item.path not in long)


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts a server of a language model; see `tests.llm_server`."""
    with servers() as start:
        yield start


def pytest_collection_finish() -> None:
    """Spare the garbage collector the objects of imported libraries: it took 4 s of 75."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder with evaluation data beside the checkout; the test is skipped where it is absent."""
    if not SHARED.is_dir():
        pytest.skip(f"needs the reference data in {SHARED}, a folder beside the checkout")
    return SHARED
