"""One process that mines while the disk fails, under the shim: see `tests.faults.harness`.

    LD_PRELOAD=shim.so python -m tests.faults.worker FOLDER < faults

Each line of standard input is a fault in JSON, each line of standard output what became of it.
"""

from __future__ import annotations

import ctypes
import json
import logging
import os
import shutil
import sys
import warnings
from pathlib import Path
from typing import Any

from miner.core.errors import DISK, PASSING, Refused
from tests.fuzz.runs import Runs, digests

NAME = "pairs"


class Disk:
    """The shim."""

    def __init__(self) -> None:
        self._shim = ctypes.CDLL(None)
        self._shim.fault_path.restype = ctypes.c_char_p
        self._shim.fault_disarm.restype = ctypes.c_long

    def arm(self, below: Path, first: int, error: int, times: int, delay_us: int = 0) -> None:
        """Calls that write below a folder fail from number `first` on, so many of them."""
        self._shim.fault_arm(os.fsencode(below), first, error, times, delay_us)

    def disarm(self) -> tuple[int, str]:
        """How many calls there were, and the path of the last that failed."""
        return self._shim.fault_disarm(), os.fsdecode(self._shim.fault_path())


def main(folder: Path) -> None:
    """Answer faults until there are no more."""
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    disk, runs = Disk(), Runs(folder)
    sound = digests(runs.sound(NAME))
    for line in sys.stdin:
        print(json.dumps(tried(disk, runs, sound, **json.loads(line))), flush=True)


def tried(
    disk: Disk, runs: Runs, sound: dict[str, str], first: int, error: int, times: int, delay_us: int
) -> dict[str, Any]:
    """Mine into a failing disk, then into a sound one.

    Returns:
        `calls` before the end, `ended`: as what, `fault`: what is wrong with that; "" for nothing.
    """
    out = runs.folder / "failing"
    shutil.rmtree(out, ignore_errors=True)
    disk.arm(out, first, error, times, delay_us)
    try:
        runs.mine(runs.settings(NAME), out, check=False)
        ended = "finished"
    except Refused as refused:
        ended = f"refused: {refused}"
    except OSError as failed:
        ended = f"{failed.filename}: {failed.strerror}"
        if failed.errno not in DISK | PASSING or not failed.filename:
            ended = f"{type(failed).__name__} without a file: {failed}"
    except Exception as wrong:
        ended = f"{type(wrong).__name__}: {wrong}"
    finally:
        calls, path = disk.disarm()
    fault = ""
    if path and ended != "finished" and str(out) not in ended:
        fault = f"{ended}; it was {path}"
    elif "\n" in ended:
        fault = f"several lines: {ended}"
    if not fault:
        try:
            runs.mine(runs.settings(NAME), out, check=False)
        except Exception as wrong:
            fault = f"after {ended}: a rerun raises {type(wrong).__name__}: {wrong}"
        else:
            differ = [n for n in sound if digests(out).get(n) != sound[n]]
            fault = f"after {ended}: a rerun gives other {differ}" if differ else ""
    return {"calls": calls, "ended": ended, "path": path, "fault": fault}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
