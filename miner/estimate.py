"""What a run will cost, from a sample of its units: hours, GPU hours, bytes, tokens of an LLM."""

from __future__ import annotations

import dataclasses
import math
import os
import random
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

from miner.commits import UnitMark, commit
from miner.config import Config
from miner.core.errors import Refused
from miner.core.layout import ESTIMATE, TOOK
from miner.core.store import Store
from miner.corpora.plan import Plan, UnitRef
from miner.stages import NAMES, groups
from miner.work import READ, Worker

CONFIDENCE = 0.9
HOUR_S = 3600.0


@dataclasses.dataclass(frozen=True)
class Amount:
    """A total over the run with its interval, which holds with `CONFIDENCE`."""

    low: float
    middle: float
    high: float

    def times(self, factor: float) -> Amount:
        """In another unit."""
        return Amount(self.low * factor, self.middle * factor, self.high * factor)


def estimate(config: Config, plan: Plan, n: int) -> dict[str, Amount]:
    """Mine some units into nowhere and scale up.

    Time is that of this machine; the barrier is not part of it. Replies of a language model are
    recorded in OUT, so that the run does not ask again.

    Args:
        config: the run.
        plan: its units.
        n: how many are mined, spread over all; one more warms up.

    Returns:
        `seconds` of work, `hours` that pass with the configured actors, `gpu_hours` reserved
        meanwhile, `bytes` of units, `tokens_in` and `tokens_out`.

    Raises:
        Refused: a stage cannot be built, or there are too few units.
    """
    refs = list(plan.refs())
    if len(refs) < 2:
        raise Refused("--estimate: there is one unit only; a smaller runner.unit_rows gives more")
    rows = sum(ref.rows for ref in refs)
    sample = spread(refs, min(max(n, 2), len(refs)), config.seed)
    worker = Worker(config, NAMES)
    worker.load()
    worker.run(sample[0], None)
    found: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        for ref in sample:
            unit, said = worker.run(ref, None)
            mark = commit(Store(folder), ref.unit_id, unit, said.counts, said.missing)
            found.append(_figures(said.seconds, said.counts, mark))
    names = sorted({name for one in found for name in one})
    sizes = [ref.rows for ref in sample]
    total = {
        name: total_of([one.get(name, 0.0) for one in found], sizes, rows, len(refs))
        for name in names
    }
    result = {name: total[name] for name in ("seconds", "bytes", "tokens_in", "tokens_out")}
    hours = _hours(config, total)
    gpus = sum(need.num_gpus * _actors(config, need.workers) for need, _ in groups(config))
    return {"hours": hours, "gpu_hours": hours.times(gpus), **result}


def spread(refs: Sequence[UnitRef], n: int, seed: int) -> list[UnitRef]:
    """Every so many-th unit from a random start, so that all corpora have their share."""
    step = len(refs) / n
    start = random.Random(seed).uniform(0, step)
    return [refs[min(int(start + i * step), len(refs) - 1)] for i in range(n)]


def total_of(values: Sequence[float], rows: Sequence[int], all_rows: int, units: int) -> Amount:
    """A total from a sample of units by its ratio to their rows, with Student's interval.

    Args:
        values: of the sampled units.
        rows: of the same units.
        all_rows: of all units.
        units: how many those are.
    """
    from scipy.stats import t

    n = len(values)
    ratio = sum(values) / sum(rows)
    off = sum((v - ratio * r) ** 2 for v, r in zip(values, rows, strict=True)) / (n - 1)
    error = math.sqrt(max(1 - n / units, 0) * off * n) / sum(rows)
    wide = float(t.ppf((1 + CONFIDENCE) / 2, n - 1)) * error
    return Amount(max(ratio - wide, 0.0) * all_rows, ratio * all_rows, (ratio + wide) * all_rows)


def account(store: Store, seconds: float, rows: int) -> str | None:
    """Note what a call of the run took beside what was estimated; None where nothing was.

    Args:
        store: OUT.
        seconds: of work.
        rows: done in them.

    Returns:
        A line that holds one against the other.
    """
    if not rows or not store.exists(ESTIMATE):
        return None
    before = store.read_json(TOOK) if store.exists(TOOK) else {"seconds": 0.0, "rows": 0}
    took = {"seconds": before["seconds"] + seconds, "rows": before["rows"] + rows}
    store.write_json(TOOK, took)
    return said(store.read_json(ESTIMATE), seconds, rows)


def said(estimated: Mapping[str, Any], seconds: float, rows: int) -> str:
    """A line that holds the estimate against what it took.

    Args:
        estimated: what `miner.core.layout.ESTIMATE` holds.
        seconds: of work.
        rows: done in them.
    """
    work, of = estimated["seconds"], estimated["rows"]
    low, middle, high = (work[name] / of for name in ("low", "middle", "high"))
    return (
        f"{seconds / rows:.2f} s of work a caption; estimated were {middle:.2f} "
        f"({low:.2f}-{high:.2f})"
    )


def _figures(
    seconds: Mapping[str, float], counts: Mapping[str, int], mark: UnitMark
) -> dict[str, float]:
    tokens = {
        side: float(sum(n for name, n in counts.items() if name.endswith(side)))
        for side in ("tokens_in", "tokens_out")
    }
    stored = float(sum(table["bytes"] for table in mark["tables"].values()))
    return {"seconds": sum(seconds.values()), "bytes": stored, **seconds, **tokens}


def _hours(config: Config, total: Mapping[str, Amount]) -> Amount:
    """Of the group that takes longest with its actors."""
    found = []
    for i, (need, names) in enumerate(groups(config)):
        parts = [total[name] for name in (*names, *((READ,) if i == 0 else ())) if name in total]
        work = Amount(*(sum(getattr(p, k) for p in parts) for k in ("low", "middle", "high")))
        found.append(work.times(1 / (HOUR_S * _actors(config, need.workers))))
    return max(found, key=lambda amount: amount.middle)


def _actors(config: Config, own: int) -> int:
    return own or config.runner.workers or os.cpu_count() or 1
