"""`miner refilter`: new verdicts from the stored scores of a run, and what they change.

The new data set is built beside the one that stands and takes its place at the end, with run.json;
whatever stops it before leaves everything as it was. Tars whose members stay are not written.
No model runs and no picture is decoded. Settings that change scores are refused: those need a run.
"""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from miner.barrier.finish import finish
from miner.barrier.protect import prepare
from miner.barrier.swap import finish_swap
from miner.cluster import lease
from miner.commits import check_marks
from miner.commits import marks as read_marks
from miner.config import Config, difference, in_force
from miner.core.contents import contents
from miner.core.errors import Refused
from miner.core.layout import CHANGES, RUN, check_out
from miner.core.store import Store
from miner.core.terminal import say
from miner.crew import Crew
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
    "dedupe.caption",
    "dedupe.against",
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
        rows: state of a row, with its reason -> rows before and after.
        gained: candidates kept now and not before.
        lost: candidates kept before and not now.
    """

    settings: tuple[str, ...]
    concepts: dict[str, tuple[int, int]]
    reasons: dict[str, tuple[int, int]]
    rows: dict[str, tuple[int, int]]
    gained: int
    lost: int


def refilter(
    out: str, sets: Sequence[str], report: Callable[[Store], None], use_ray: bool = False
) -> Changes:
    """Give a finished run new verdicts.

    Args:
        out: OUT of the run.
        sets: `a.b=c` changes of its configuration.
        report: writes the report of a finished OUT.
        use_ray: spread large runs over Ray.

    Returns:
        What changed; also written to `report/changes.json`.

    Raises:
        Refused: no run there, an unknown setting, or one that changes scores.
    """
    store = Store(out)
    check_out(store)
    with lease.held(store) as mine:
        finish_swap(store)
        return _refilter(store, out, sets, report, use_ray, mine.check)


def _refilter(
    store: Store,
    out: str,
    sets: Sequence[str],
    report: Callable[[Store], None],
    use_ray: bool,
    check: Callable[[], None],
) -> Changes:
    run = store.read_json(RUN, ["config"])
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
    before, after = (in_force(c.model_dump(mode="json")) for c in (old, new))
    changed = difference(before, after)
    _only_verdicts(changed)

    prepare(store, new)
    found: list[Changes] = []

    def beside(counted: Sequence[list[Any]], after: Store) -> dict[str, Any]:
        found.append(compare(counted, changed, _states(store), _states(after)))
        return {RUN: {**run, **_described(new, run)}, CHANGES: dataclasses.asdict(found[0])}

    with Crew(new, use_ray, partial(say, err=True)) as crew:
        finish(store, new, marks, crew.spread, check, beside)
    report(store)
    return found[0]


def allowed(setting: str) -> bool:
    """Whether a setting makes verdicts and shards alone, so that no score depends on it."""
    return any(setting == a or setting.startswith(f"{a}.") for a in ALLOWED)


def _only_verdicts(changed: Sequence[str]) -> None:
    for line in changed:
        name = line.partition(":")[0]
        if not allowed(name):
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


def _states(store: Store) -> Counter[str]:
    """Rows of a ledger by state and reason."""
    found: Counter[str] = Counter()
    for name in store.names("ledger/samples", ".parquet"):
        rows = store.read_table(name, ["status", "reason"])
        found.update(
            f"{status}: {reason}" if reason else status
            for status, reason in zip(*(column.to_pylist() for column in rows), strict=True)
        )
    return found


def compare(
    counted: Sequence[Sequence[Any]],
    settings: Sequence[str],
    before: Mapping[str, int],
    after: Mapping[str, int],
) -> Changes:
    """Sum up what differs between two ledgers.

    Args:
        counted: [*Change, count] each, see `miner.barrier.ledger`.
        settings: `name: old -> new` lines.
        before: rows by state and reason in the ledger that stood.
        after: the same in the new one.
    """
    concepts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    reasons: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    moved = [0, 0]
    for concept, kept_before, why_before, kept_after, why_after, n in counted:
        for side, kept, why in ((0, kept_before, why_before), (1, kept_after, why_after)):
            if kept:
                concepts[concept][side] += n
                moved[side] += n * (kept_before is not kept_after)
            elif kept is not None:
                reasons[why or "unknown"][side] += n
    return Changes(
        settings=tuple(settings),
        concepts={name: (a, b) for name, (a, b) in sorted(concepts.items())},
        reasons={name: (a, b) for name, (a, b) in sorted(reasons.items())},
        rows={
            name: (before.get(name, 0), after.get(name, 0))
            for name in sorted(before.keys() | after.keys())
        },
        gained=moved[1],
        lost=moved[0],
    )
