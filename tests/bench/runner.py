"""Units per second of the whole pipeline: one process, Pool(2), Ray with two workers.

    python -m tests.bench.runner [--captions N] [--rounds R]

Each contestant mines the same phantom corpora into an OUT of its own; the clock starts when its
workers have loaded their models. The gain is the rate over that of one process in the same round.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from miner.config import Config
from miner.core.store import Store
from miner.corpora.plan import UnitRef, make_plan
from miner.isolation import Isolated
from miner.load_config import load_config
from miner.stages import NAMES

WORKERS = 2
WARM_UP = 1  # units per worker before the clock starts

_worker: Any = None


def _load(config: Config) -> None:
    global _worker
    from miner.work import Worker

    _worker = Worker(config, NAMES)


def _process(ref: UnitRef) -> None:
    _worker.process(ref, None)


def plain(config: Config, refs: list[UnitRef]) -> float:
    """Seconds for all but the first units, in this process."""
    _load(config)
    for ref in refs[:WARM_UP]:
        _process(ref)
    began = time.perf_counter()
    for ref in refs[WARM_UP:]:
        _process(ref)
    return time.perf_counter() - began


def pool(config: Config, refs: list[UnitRef]) -> float:
    """Seconds in two spawned processes."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(WORKERS, _load, (config,)) as workers:
        workers.map(_process, refs[: WARM_UP * WORKERS], chunksize=1)
        began = time.perf_counter()
        for _ in workers.imap_unordered(_process, refs[WARM_UP * WORKERS :]):
            pass
        return time.perf_counter() - began


def on_ray(config: Config, refs: list[UnitRef]) -> float:
    """Seconds on Ray from the moment when as many units are done as the pool warms up with."""
    from miner.runner import cluster, run_units

    with cluster(config):
        began = 0.0
        for i, _ in enumerate(
            run_units(config, refs, len(refs), lambda: [WORKERS], _whole, print), start=1
        ):
            if i == WARM_UP * WORKERS:
                began = time.perf_counter()
        return time.perf_counter() - began


def _whole(ref: UnitRef, isolated: Isolated) -> UnitRef:
    """No picture of the phantoms ends its worker."""
    raise AssertionError(f"{ref.unit_id}: {isolated}")


CONTESTANTS: dict[str, tuple[Callable[[Config, list[UnitRef]], float], int]] = {
    "one process": (plain, WARM_UP),
    "Pool(2)": (pool, WARM_UP * WORKERS),
    "Ray, 2 workers": (on_ray, WARM_UP * WORKERS),
}


def measure(
    captions: int, rounds: int, names: Sequence[str] = tuple(CONTESTANTS)
) -> dict[str, list[float]]:
    """Units per second of every named contestant in every round."""
    from miner.demo import write_demo

    rates: dict[str, list[float]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as folder:
        corpora = Path(folder) / "corpora"
        write_demo(corpora, captions=captions, seed=1)
        kinds = [f"{k}={corpora / k}" for k in ("quilt", "pathcap", "pathgen")]
        for number in range(rounds):
            order = list(names) if number % 2 == 0 else list(reversed(names))
            for name in order:
                out = f"{folder}/{number}-{name}"
                sets = ["runner.unit_rows=8"]
                config = load_config("quickstart.yaml", sets, kinds, out, WORKERS)
                plan = make_plan(config.corpora, config.runner.unit_rows, Store(config.out))
                refs = list(plan.refs())
                run, warm = CONTESTANTS[name]
                rates[name].append((len(refs) - warm) / run(config, refs))
    return rates


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--captions", type=int, default=240)
    parser.add_argument("--rounds", type=int, default=2)
    args = parser.parse_args()
    rates = measure(args.captions, args.rounds)
    alone = rates["one process"]
    gains = {
        name: statistics.median(r / a for r, a in zip(found, alone, strict=True))
        for name, found in rates.items()
    }
    print(f"{'':16} units/s   gain")
    for name, found in rates.items():
        print(f"{name:16} {statistics.median(found):7.2f} {gains[name]:6.2f}")
    ratio = gains["Ray, 2 workers"] / gains["Pool(2)"]
    print(f"Ray gains {ratio:.2f} x what Pool(2) gains (bar: 0.9)")


if __name__ == "__main__":
    main()
