"""One process that tries inputs of a boundary: within limits of time and memory, or it dies.

    python -m tests.fuzz.worker BOUNDARY FIRST COUNT LIMIT_S LIMIT_MB

writes a line of JSON before and after each input; the one that asks knows from the last which input
ended it.
"""

from __future__ import annotations

import json
import logging
import resource
import signal
import sys
import tempfile
import warnings
from pathlib import Path


def main(name: str, first: int, count: int, limit_s: float, limit_mb: int) -> None:
    """Try inputs number `first` to `first + count`."""
    from tests.fuzz.boundaries import BOUNDARIES, one

    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        boundary = BOUNDARIES[name](Path(folder))
        boundary_mb = _peak_mb()
        resource.setrlimit(resource.RLIMIT_DATA, ((limit_mb + 2000) << 20,) * 2)
        for seed in range(first, first + count):
            _say(seed=seed)
            _forget_peak()
            # The signal's default ends the process, even within a library in C.
            signal.setitimer(signal.ITIMER_PROF, limit_s)
            fault = one(boundary, name, seed)
            signal.setitimer(signal.ITIMER_PROF, 0)
            if not fault and _peak_mb() - boundary_mb > limit_mb:
                fault = f"took {_peak_mb() - boundary_mb:.0f} MB"
            _say(seed=seed, fault=fault)


def _say(**what: object) -> None:
    print(json.dumps(what), flush=True)


def _peak_mb() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return 0.0


def _forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]), int(sys.argv[5]))
