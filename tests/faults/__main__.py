"""`python -m tests.faults`: a disk that fails at every write of a small run, in turn.

--seed 0         of the errors
--part 0/1       every n-th call, from number 0
"""

from __future__ import annotations

import argparse
import errno
import sys
import tempfile
from pathlib import Path

from tests.faults.harness import ERRORS, FOR_GOOD, SLOW_US, Fault, attempt


def main() -> None:
    """Try them all; exit 1 when one ends otherwise than required."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--part", default="0/1")
    args = parser.parse_args()
    part, parts = map(int, args.part.split("/"))
    good = total = 0
    with tempfile.TemporaryDirectory() as folder:
        ((_, slow),) = attempt(_below(folder, "slow"), [Fault(0, 0, delay_us=SLOW_US)])
        calls = slow["calls"]
        faults = [
            Fault(n, getattr(errno, ERRORS[(n + args.seed) % 4]), (FOR_GOOD, 1)[n // 4 % 2])
            for n in range(part, calls, parts)
        ]
        for fault, found in attempt(_below(folder, "all"), faults):
            good, total = good + (not found["fault"]), total + 1
            if found["fault"]:
                print(f"{fault}: {found['fault']}", flush=True)
    print(f"{calls} calls that write; slow: {slow['fault'] or 'the same bytes'}")
    if good < total or slow["fault"]:
        sys.exit(f"{good} of {total} end as required")
    print(f"{good} of {total} end as required")


def _below(folder: str, name: str) -> Path:
    path = Path(folder) / name
    path.mkdir()
    return path


if __name__ == "__main__":
    main()
