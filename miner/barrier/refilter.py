"""`miner refilter`: new verdicts from the stored scores of a run, and what they change.

No model runs and no picture is decoded. Settings that change scores are refused: those need a run.
"""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa

from miner.barrier.finish import finish
from miner.barrier.protect import prepare
from miner.cluster import lease
from miner.commits import check_marks
from miner.commits import marks as read_marks
from miner.config import Config, difference
from miner.core.contents import contents
from miner.core.errors import Refused
from miner.core.layout import CHANGES, RUN, check_out
from miner.core.store import Store
from miner.load_config import apply_sets, check_config

# Settings that verdicts, duplicates, samples and shards are made of; all others made the scores.
ALLOWED = (
    "filters.precision",
    "filters.fdr",
    "filters.at_least",
    "filters.at_most",
    "filters.absent_below",
    "filters.support_alpha",
    "filters.decision",
    "filters.extent",
    "filters.geometry",
    "dedupe.threshold",
    "dedupe.semantic",
    "dedupe.near",
    "dedupe.largest_share",
    "protect",
    "sampling",
    "shards",
)

Verdict = tuple[bool, str | None]
Key = tuple[str, str, str]  # sample_id, concept, segmenter


@dataclasses.dataclass(frozen=True)
class Changes:
    """What a refilter changed.

    Attributes:
        settings: `name: old -> new` lines.
        concepts: concept -> regions kept before and after.
        reasons: reason -> candidates dropped for it before and after.
        gained: candidates kept now and not before.
        lost: candidates kept before and not now.
    """

    settings: tuple[str, ...]
    concepts: dict[str, tuple[int, int]]
    reasons: dict[str, tuple[int, int]]
    gained: int
    lost: int


def refilter(out: str, sets: Sequence[str], report: Callable[[Store], None]) -> Changes:
    """Give a finished run new verdicts.

    Args:
        out: OUT of the run.
        sets: `a.b=c` changes of its configuration.
        report: writes the report of a finished OUT.

    Returns:
        What changed; also written to `report/changes.json`.

    Raises:
        Refused: no run there, an unknown setting, or one that changes scores.
    """
    store = Store(out)
    check_out(store)
    with lease.held(store):
        return _refilter(store, out, sets, report)


def _refilter(
    store: Store, out: str, sets: Sequence[str], report: Callable[[Store], None]
) -> Changes:
    run = store.read_json(RUN)
    marks = read_marks(store)
    if not marks:
        raise Refused(f"{out}: no committed units; nothing to filter")
    check_marks(store, marks, run.get("run", ""))
    mined = sum(mark["tables"]["samples"]["rows"] for mark in marks.values())
    if mined < (wanted := sum(run.get("rows", {}).values())):
        raise Refused(f"{out}: {mined} of {wanted} rows are mined; miner run goes on with them")
    old = check_config({**run["config"], "out": out}, f"{out}/{RUN}")
    value = old.model_dump(mode="json")
    apply_sets(value, sets)
    new = check_config(value, "--set")
    changed = difference(old.model_dump(mode="json"), new.model_dump(mode="json"))
    _only_verdicts(changed)

    before = _verdicts(store)
    # The configuration first: a refilter that is cut off is finished by running it again.
    store.write_json(RUN, {**run, **_described(new, run)})
    prepare(store, new)
    finish(store, new, marks)
    changes = compare(before, _verdicts(store), changed)
    store.write_json(CHANGES, dataclasses.asdict(changes))
    report(store)
    return changes


def _only_verdicts(changed: Sequence[str]) -> None:
    for line in changed:
        name = line.partition(":")[0]
        if not any(name == a or name.startswith(f"{a}.") for a in ALLOWED):
            raise Refused(
                f"--set {name}: it changes scores, not only verdicts; "
                "run again into another folder (miner run CONFIG --out ...)"
            )


def _described(config: Config, run: dict[str, Any]) -> dict[str, Any]:
    """Entries of run.json that the configuration decides; paths stay as they were written."""
    plain = {**config.model_dump(mode="json"), "out": run["config"].get("out", config.out)}
    return {
        "config": plain,
        "identity": config.identity(),
        "hash": config.digest(),
        "files": contents(config),
    }


def _verdicts(store: Store) -> dict[Key, Verdict]:
    """Verdicts of the ledger; empty when a refilter before this one was cut off."""
    found: dict[Key, Verdict] = {}
    columns = ["sample_id", "concept", "segmenter", "keep", "reason"]
    for name in store.names("ledger/candidates", suffix=".parquet"):
        table: pa.Table = store.read_table(name, columns=columns)
        rows = zip(*(table[c].to_pylist() for c in columns), strict=True)
        found.update({(s, c, g): (k, r) for s, c, g, k, r in rows})
    return found


def compare(
    before: dict[Key, Verdict], after: dict[Key, Verdict], settings: Sequence[str]
) -> Changes:
    """Count what differs between two sets of verdicts."""
    concepts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    reasons: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for side, verdicts in enumerate((before, after)):
        for (_, concept, _), (keep, reason) in verdicts.items():
            if keep:
                concepts[concept][side] += 1
            else:
                reasons[reason or "unknown"][side] += 1
    kept = [{k for k, (keep, _) in verdicts.items() if keep} for verdicts in (before, after)]
    count = Counter(gained=len(kept[1] - kept[0]), lost=len(kept[0] - kept[1]))
    return Changes(
        settings=tuple(settings),
        concepts={name: (a, b) for name, (a, b) in sorted(concepts.items())},
        reasons={name: (a, b) for name, (a, b) in sorted(reasons.items())},
        gained=count["gained"],
        lost=count["lost"],
    )
