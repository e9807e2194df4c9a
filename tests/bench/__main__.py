"""All benchmarks of speed, one after the other: `python -m tests.bench`."""

from __future__ import annotations

import subprocess
import sys

BENCHES = (
    ("ner",),
    ("quality", "--only", "speed"),
    ("io",),
    ("corpora",),
    ("annotated",),
    ("runner",),
    ("clip_cost",),
    ("memory",),
)


def main() -> None:
    """Run each in a process of its own; exit with 1 when one fails."""
    failed = []
    for name, *arguments in BENCHES:
        print(f"== {name}", flush=True)
        done = subprocess.run([sys.executable, "-m", f"tests.bench.{name}", *arguments])
        if done.returncode:
            failed.append(name)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
