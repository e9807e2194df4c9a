"""What is promised, measured anew: `python -m tests.verify [--seed N] [--captions N]`.

Mines phantoms of a seed that was never used before and prints a line per promise: what, its bar,
the figure. Exits with 1 when one falls short. What needs reference material is skipped without it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.verify import known, mined, outside, sam3, speed
from tests.verify.promise import Promise

# Below lie the seeds of the demo, of the tests and of all training.
UNSEEN = 1_000_000_000


def promises(folder: Path, seed: int, captions: int) -> Iterator[Promise]:
    """All promises, one after the other."""
    from miner.demo import write_demo

    corpora, out = folder / "corpora", folder / "out"
    write_demo(corpora, captions=captions, seed=seed)
    began = time.monotonic()
    mined.mine(corpora, out, "--workers", "2")
    took = time.monotonic() - began
    parts: tuple[Callable[[], Iterator[Promise]], ...] = (
        lambda: mined.ledger(corpora, out),
        lambda: outside.contracts(corpora, out),
        lambda: mined.resume(corpora, out, took, seed),
        lambda: mined.precision(corpora, out),
        lambda: known.known(corpora, out),
        lambda: sam3.asked(corpora, out, folder / "sam3"),
        lambda: mined.exports(out),
        lambda: outside.mentions(folder),
        outside.biomedparse,
        speed.captions,
        lambda: speed.shards(folder),
        speed.workers,
    )
    for part in parts:
        yield from part()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seed", type=int, default=UNSEEN + int(time.time()) % UNSEEN)
    parser.add_argument("--captions", type=int, default=400)
    args = parser.parse_args()
    print(f"seed {args.seed}, {args.captions} captions\n")
    print("| promise | bar | figure | |\n|---|---|---|---|", flush=True)
    short = 0
    with tempfile.TemporaryDirectory() as folder:
        for found in promises(Path(folder), args.seed, args.captions):
            print(f"| {found.what} | {found.bar} | {found.figure} | {found.verdict} |", flush=True)
            short += found.verdict == "short"
    if short:
        sys.exit(f"\n{short} fall short")


if __name__ == "__main__":
    main()
