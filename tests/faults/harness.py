"""Builds the shim, and tries faults in a process under it."""

from __future__ import annotations

import dataclasses
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).parent / "shim.c"
ERRORS = ("ENOSPC", "EIO", "EACCES", "EMFILE")
FOR_GOOD = 1_000_000
SLOW_US = 2_000


@dataclasses.dataclass(frozen=True)
class Fault:
    """From the call number `first` on that writes, so many fail, or all take long.

    Attributes:
        first: number of the call, from 0.
        error: errno; 0: none fails.
        times: how many fail.
        delay_us: microseconds that every call takes.
    """

    first: int
    error: int
    times: int = FOR_GOOD
    delay_us: int = 0


def build(folder: Path) -> Path:
    """The shim as a library."""
    library = folder / "shim.so"
    command = ["cc", "-shared", "-fPIC", "-O1", str(SOURCE), "-o", str(library), "-ldl"]
    subprocess.run(command, check=True)
    return library


def attempt(folder: Path, faults: Iterable[Fault]) -> Iterator[tuple[Fault, dict[str, Any]]]:
    """Try faults one after the other; see `tests.faults.worker.tried`."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.worker", str(folder)],
        env={**os.environ, "LD_PRELOAD": str(build(folder))},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        for fault in faults:
            process.stdin.write(json.dumps(dataclasses.asdict(fault)) + "\n")
            process.stdin.flush()
            yield fault, json.loads(process.stdout.readline())
        process.stdin.close()


def drawn(rng: random.Random, calls: int, count: int) -> list[Fault]:
    """Faults at calls drawn without putting back, of all errors in turn, once and for good."""
    import errno

    numbers = rng.sample(range(calls), min(count, calls))
    return [
        Fault(number, getattr(errno, ERRORS[i % 4]), (FOR_GOOD, 1)[i // 4 % 2])
        for i, number in enumerate(numbers)
    ]
