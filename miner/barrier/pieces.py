"""Steps of the barrier: a task writes pieces and a mark; what has a mark is not done again.

    barrier/{digest}/{step}/{task}.json       mark of a task: what it returned
    barrier/{digest}/{step}/{task}.parquet    what later steps read, by its sha256

A task is a function of committed units, the configuration and pieces of earlier steps, so it gives
the same whoever does it and however often. The folder goes when everything is in its place.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from miner.core.errors import Refused
from miner.core.store import Store

FOLDER = "barrier"

# Applies a function to each item, somewhere, and gives the results in any order.
Spread = Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]


class Piece(NamedTuple):
    """A table that a task wrote: name in OUT, and sha256 of the file."""

    name: str
    sha256: str


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a task writes.

    Attributes:
        store: OUT.
        name: folder and name of its files, without suffix.
    """

    store: Store
    name: str

    def write(self, table: pa.Table, what: str = "") -> Piece:
        """Write a piece; a task with several calls them by `what`."""
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="lz4")
        data = sink.getvalue()
        name = f"{self.name}{what and '-'}{what}.parquet"
        self.store.write(name, data)
        return Piece(name, hashlib.sha256(data).hexdigest())

    def write_bytes(self, data: bytes, what: str) -> Piece:
        """Write a piece that is no table."""
        name = f"{self.name}-{what}.bin"
        self.store.write(name, data)
        return Piece(name, hashlib.sha256(data).hexdigest())


def read_piece(store: Store, piece: Iterable[str], columns: list[str] | None = None) -> pa.Table:
    """Read a piece, or some of its columns; texts are dictionaries where they were written so.

    Raises:
        Refused: it is not what was written.
    """
    file = pq.ParquetFile(pa.BufferReader(read_bytes(store, piece)))
    return file.read(columns, use_threads=False)  # a worker has a core


def read_schema(store: Store, piece: Iterable[str]) -> pa.Schema:
    """Columns of a piece; raises `Refused` as `read_piece`."""
    return pq.read_schema(pa.BufferReader(read_bytes(store, piece)))


def read_bytes(store: Store, piece: Iterable[str]) -> bytes:
    """Read a piece that is no table; raises `Refused` as `read_piece`."""
    name, sha256 = piece
    try:
        data = store.read(name)
    except FileNotFoundError:
        data = b""
    if hashlib.sha256(data).hexdigest() != sha256:
        raise Refused(
            f"{store.shown(name)}: changed since it was written; remove {store.shown(FOLDER)} and "
            "run again"
        )
    return data


class Steps:
    """Runs steps, each from where it stood.

    Args:
        store: OUT.
        digest: of all that the barrier depends on; another one's pieces are removed.
        spread: see `Spread`.
        check: called before each step; raises when OUT is not ours any more.
    """

    def __init__(self, store: Store, digest: str, spread: Spread, check: Callable[[], None]):
        self._store, self._spread, self._check = store, spread, check
        self.folder = f"{FOLDER}/{digest[:16]}"
        for name in store.names(FOLDER):
            if name != self.folder:
                store.remove(name)

    @property
    def next(self) -> Store:
        """What is to take the place of shards, ledger and the rest: an OUT of its own."""
        return self._store.below(f"{self.folder}/next")

    def run(
        self, step: str, function: Callable[[Place, Any], Any], tasks: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Do the tasks of a step that have no mark.

        Args:
            step: its name.
            function: does a task: where to write, and what it is given; returns JSON.
            tasks: what each task is given, by its name.

        Returns:
            What each returned, in the order of `tasks`.
        """
        self._check()
        folder = f"{self.folder}/{step}"
        done = _marks(self._store, folder, tasks)
        pending = [(task, given) for task, given in tasks.items() if task not in done]
        done |= dict(self._spread(_Task(self._store, folder, function), pending))
        return {task: done[task] for task in tasks}

    def one(self, step: str, function: Callable[[Place, Any], Any], given: Any) -> Any:
        """A step of one task."""
        return self.run(step, function, {"all": given})["all"]


@dataclasses.dataclass(frozen=True)
class _Task:
    store: Store
    folder: str
    function: Callable[[Place, Any], Any]

    def __call__(self, item: tuple[str, Any]) -> tuple[str, Any]:
        task, given = item
        with _uncollected():
            value = self.function(Place(self.store, f"{self.folder}/{task}"), given)
        text = json.dumps(value)
        self.store.write(f"{self.folder}/{task}.json", text.encode())
        return task, json.loads(text)


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Without the collector of cycles, which walks through all rows again and again for nothing."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _marks(store: Store, folder: str, tasks: Mapping[str, Any]) -> dict[str, Any]:
    names = {f"{folder}/{task}.json": task for task in tasks}
    there = [name for name in store.names(folder, suffix=".json") if name in names]
    found = {}
    for name, data in zip(there, store.read_many(there), strict=True):
        try:
            found[names[name]] = json.loads(data)
        except ValueError:  # damaged: the task is done again
            continue
    return found
