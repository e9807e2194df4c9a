"""Tries inputs in processes that may die, and counts how they end."""

from __future__ import annotations

import dataclasses
import json
import signal
import subprocess
import sys

LIMIT_S = 20.0  # of processor time for one input
LIMIT_MB = 1000  # of memory beyond what the boundary itself holds


@dataclasses.dataclass
class Tried:
    """How the inputs of a boundary ended.

    Attributes:
        good: how many as required.
        bad: what was wrong, by the number of the input.
    """

    good: int = 0
    bad: dict[int, str] = dataclasses.field(default_factory=dict)


def attempt(
    name: str, first: int, count: int, limit_s: float = LIMIT_S, limit_mb: int = LIMIT_MB
) -> Tried:
    """Try inputs number `first` to `first + count` of a boundary."""
    tried, last = Tried(), first + count
    while first < last:
        arguments = [name, str(first), str(last - first), str(limit_s), str(limit_mb)]
        command = [sys.executable, "-m", "tests.fuzz.worker", *arguments]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        said, complaint = process.communicate()
        begun = None
        for line in said.splitlines():
            if not line.startswith('{"seed"'):
                continue
            value = json.loads(line)
            begun = value["seed"]
            if "fault" in value:
                if value["fault"]:
                    tried.bad[begun] = value["fault"]
                else:
                    tried.good += 1
                first, begun = begun + 1, None
        if process.returncode == 0:
            return tried
        if begun is None:
            raise RuntimeError(f"{name}: {complaint[-2000:]}")
        number = -process.returncode
        why = signal.Signals(number).name if number > 0 else f"exit {process.returncode}"
        tried.bad[begun] = f"more than {limit_s:.0f} s" if why == "SIGPROF" else f"died of {why}"
        first = begun + 1
    return tried
