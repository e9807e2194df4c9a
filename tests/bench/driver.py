"""What the driver itself costs: units whose work is nothing, and a resume of many that are done.

    python -m tests.bench.driver [--units 10000] [--marks 100000]

The first is units/s and growth of the driver's memory over actors that answer at once; the second
is the time from the first file that is read to the marks of all units, checked.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import ray

from miner.cluster.pool import Pool
from miner.cluster.spread import Spread
from miner.commits import MARKS, UnitMark, check_marks, keep_marks, marks
from miner.config import Resources
from miner.core.store import Store
from miner.corpora.plan import UnitRef
from miner.isolation import Isolated
from miner.stages import NAMES
from miner.work import MinedUnit

WORKERS = 2
IN_FLIGHT = 2  # the default
WARM_UP = 200  # units before the clock starts
ALONE = 499  # marks that a run which was killed has not put into a table yet


def mark(number: int) -> UnitMark:
    """Of a committed unit, as large as most are."""
    table = {"rows": 64, "bytes": 100_000 + number, "sha256": f"{number:064x}"}
    return {
        "unit_id": f"c-{number:06d}",
        "run": "r",
        "tables": {name: table for name in ("samples", "images", "candidates")},  # type: ignore[dict-item]
        "counts": {"texts": 64, "mentions": 200},
        "missing": {},
        "masks": 100,
    }


class Empty:
    """An actor that commits every unit at once; see `miner.cluster.pool.Post`."""

    @ray.method(concurrency_group="health")
    def ping(self) -> str:
        return "here"

    @ray.method(num_returns=2)
    def process(self, ref: UnitRef, passed: object) -> tuple[MinedUnit, None]:
        return MinedUnit(mark(ref.number), {"asked": 64}, dict.fromkeys(NAMES, 1.0)), None


def _whole(ref: UnitRef, isolated: Isolated) -> UnitRef:
    raise AssertionError(f"{ref.unit_id}: {isolated}")


def spread(units: int) -> Iterator[str]:
    """Units/s, and memory early and late."""
    ray.init(address="local", num_cpus=WORKERS, include_dashboard=False, log_to_driver=False)
    actor = ray.remote(num_cpus=1, concurrency_groups={"health": 1})(Empty)  # type: ignore[call-overload]
    pool = Pool(Resources(), NAMES, actor.remote)
    refs = (UnitRef(f"c-{n:06d}", "c", n, 64) for n in range(WARM_UP + units))
    walk = Spread([pool], refs, WARM_UP + units, lambda: [WORKERS], IN_FLIGHT, _whole, print)
    began, worked, held = 0.0, 0.0, []
    for done, _ in enumerate(walk, start=1):
        if done == WARM_UP:
            began, worked = time.perf_counter(), time.process_time()
        if done in (WARM_UP + units // 10, WARM_UP + units):
            held.append(psutil.Process().memory_info().rss / 2**20)
    took, worked = time.perf_counter() - began, time.process_time() - worked
    ray.shutdown()
    yield (
        f"{units} empty units: {units / took:.0f}/s, {units / worked:.0f} a second of the driver's "
        "processor (bar: 500)"
    )
    yield f"the driver holds {held[0]:.0f} MiB after {units // 10} units, {held[1]:.0f} after all"


def resume(number: int) -> Iterator[str]:
    """Seconds until it is known which units are done."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        whole = {one["unit_id"]: one for one in map(mark, range(number))}
        (Path(folder) / "units").mkdir()
        for unit_id, one in whole.items():
            (Path(folder) / f"units/{unit_id}.json").write_text(json.dumps(one))
        kept = dict(list(whole.items())[: number - ALONE])
        for case, known in (("in tables but the last", kept), ("never put into a table", {})):
            for name in store.names(MARKS, suffix=".parquet"):
                store.remove(name)
            if known:
                keep_marks(store, known)
            began, worked = time.perf_counter(), time.process_time()
            found = marks(store)
            check_marks(store, found, "r")
            keep_marks(store, found, all_=True)
            took, worked = time.perf_counter() - began, time.process_time() - worked
            assert len(found) == number
            yield f"{number} marks, {case}: {took:.1f} s, {worked:.1f} s of processor (bar: 10)"


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--units", type=int, default=10_000)
    parser.add_argument("--marks", type=int, default=100_000)
    args = parser.parse_args()
    for line in (*spread(args.units), *resume(args.marks)):
        print(line, flush=True)


if __name__ == "__main__":
    main()
