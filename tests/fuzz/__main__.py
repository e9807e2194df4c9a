"""`python -m tests.fuzz`: hostile input at every boundary; how each ended.

--inputs 10000   over all boundaries, by their share
--runs 200       whole runs
--only NAME      one boundary
--first 0        number of the first input
"""

from __future__ import annotations

import argparse
import sys

from tests.fuzz.boundaries import BOUNDARIES
from tests.fuzz.harness import attempt


def main() -> None:
    """Try them all; exit 1 when one ends otherwise than required."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--only", default="", choices=["", *BOUNDARIES])
    parser.add_argument("--first", type=int, default=0)
    args = parser.parse_args()
    shares = sum(boundary.share for boundary in BOUNDARIES.values())
    wanted = {
        name: -(-args.inputs * boundary.share // shares) or args.runs
        for name, boundary in BOUNDARIES.items()
    }
    good = total = 0
    for name, count in wanted.items():
        if args.only and args.only != name:
            continue
        tried = attempt(name, args.first, count)
        good, total = good + tried.good, total + count
        print(f"{name}: {tried.good} of {count}", flush=True)
        for seed, fault in sorted(tried.bad.items()):
            print(f"    {name} {seed}: {fault}", flush=True)
    if good < total:
        sys.exit(f"{good} of {total} end as required")
    print(f"{good} of {total} end as required")


if __name__ == "__main__":
    main()
