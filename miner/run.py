"""`miner run` from start to end: plan, units, barrier; running it again resumes."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import platform
import time
from collections.abc import Mapping
from importlib import metadata
from typing import Any, Protocol

from miner import estimate, isolation
from miner.barrier import against
from miner.barrier.finish import finish, is_finished
from miner.barrier.protect import prepare
from miner.barrier.swap import finish_swap
from miner.begun import check_corpora, check_folder, check_run
from miner.cluster import lease
from miner.commits import DamagedUnit, Marks, UnitMark, check_marks, forget, keep_marks
from miner.commits import marks as read_marks
from miner.config import Config
from miner.core.contents import contents
from miner.core.errors import Refused
from miner.core.layout import NOTEBOOK, RUN
from miner.core.shown import all_masked
from miner.core.store import Store
from miner.corpora.config import advice, corpus_name
from miner.corpora.plan import Plan, UnitRef, load_rows, make_plan, reader
from miner.corpora.rows import sample_id
from miner.crew import Crew
from miner.timing import Times
from miner.version import __version__
from miner.work import MinedUnit
from shards.sides import side_files

PACKAGES = (
    "faiss-cpu",
    "numpy",
    "opencv-python-headless",
    "pyarrow",
    "ray",
    "scikit-image",
    "spacy",
    "torch",
    "transformers",
)


# A model that fails on this many rows, and on this share of all, fails whatever the row.
MANY, MANY_SHARE = 24, 0.2
# Units whose marks are put into a table together; a run that dies leaves fewer than these alone.
MARKS_TOGETHER = 500
# Of what differs from an OUT's configuration: how many settings are told, and how much of a value.


class Progress(Protocol):
    """Told what happens; see `miner.progress`."""

    def start(self, units: int, captions: int, done_units: int, done_captions: int) -> None:
        """The plan is made."""
        ...

    def unit(self, done: MinedUnit) -> None:
        """A unit is committed."""
        ...

    def note(self, text: str) -> None:
        """Something worth a line of its own."""
        ...

    def barrier(self) -> None:
        """All units are committed; verdicts, duplicates and shards come next."""
        ...


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a call of `run` found and did.

    Attributes:
        store: OUT.
        finished_before: nothing was left to do.
    """

    store: Store
    finished_before: bool


def run(
    config: Config,
    progress: Progress,
    use_ray: bool = True,
    retry_isolated: bool = False,
    takeover: bool = False,
) -> Outcome:
    """Mine what is not mined yet, then write shards, ledger and report.

    Args:
        config: of the run.
        progress: told about every unit.
        use_ray: spread the units over Ray; else one after the other.
        retry_isolated: mine units anew that have rows left out (`miner.isolation`), all of them.
        takeover: take OUT from another driver that is at work in it.

    Raises:
        Refused: OUT belongs to another configuration or driver, a corpus or model is missing.
    """
    store = Store(config.out)
    files = contents(config)
    check_folder(store)
    if not store.exists(RUN):  # before anything is written
        for corpus in config.corpora:
            reader(corpus)
    with lease.held(store, takeover, progress.note) as mine:
        return _run(
            store, config, files, Heard(progress, mine, config, store), use_ray, retry_isolated
        )


def _run(
    store: Store,
    config: Config,
    files: Mapping[str, str],
    progress: Heard,
    use_ray: bool,
    retry_isolated: bool,
) -> Outcome:
    """What `run` does while OUT is ours."""
    if retry_isolated:
        isolation.forget(store)
    finish_swap(store)
    marks = _read_marks(store, progress)
    needs = ("identity", "rows", "plan") if marks else ()
    begun = store.read_json(RUN, needs) if store.exists(RUN) else {}
    if marks:  # else nothing is mined yet, as when the first call named a model that is not there
        check_run(store, begun, config, files)
    plan = make_plan(config.corpora, config.runner.unit_rows, store)
    if marks:
        check_corpora(store, begun, plan)
    _try_side_files(config, plan, store)
    prepare(store, config)
    against.digest(config)  # refuses before anything is mined
    described = describe(config, plan, files)
    if marks:  # a refilter has changed the configuration since, not the units
        described["run"] = begun.get("run", "")
    check_marks(store, marks, described["run"])
    units = sum(plan.units.values())
    configured = begun.get("hash", "")  # another one where an earlier version had less settings
    finished = len(marks) == units and is_finished(store, config, marks, configured)
    if finished:
        described |= {name: begun[name] for name in ("identity", "hash") if name in begun}
    store.write_json(RUN, described)
    keep_marks(store, marks, all_=True)
    if finished:
        if not store.exists(NOTEBOOK):  # killed while the report was written
            write_report(store)
        return Outcome(store, True)
    done = sum(mark["tables"]["samples"]["rows"] for mark in marks.values())
    progress.start(units, sum(plan.rows.values()), len(marks), done)
    again: set[str] = set()
    with Crew(config, use_ray, progress.note) as crew:
        while True:
            if len(marks) < units:
                marks = _mine(store, config, plan, marks, described["run"], progress, crew)
            progress.barrier()
            try:
                finish(store, config, marks, crew.spread, progress.mine.check)
                break
            except DamagedUnit as damaged:
                if damaged.unit_id in again:  # the disk gives back what was never written
                    raise
                again.add(damaged.unit_id)
                progress.note(f"{damaged.unit_id} is damaged and mined again")
                marks = {u: mark for u, mark in marks.items() if u != damaged.unit_id}
                forget(store, damaged.unit_id)
                keep_marks(store, marks, all_=True)
    write_report(store)
    return Outcome(store, False)


def _read_marks(store: Store, progress: Heard) -> dict[str, UnitMark]:
    """All marks; a unit with a damaged one is mined again."""
    while True:
        try:
            return read_marks(store)
        except DamagedUnit as damaged:
            progress.note(f"{damaged.unit_id} is damaged and mined again")
            forget(store, damaged.unit_id)


def _mine(
    store: Store,
    config: Config,
    plan: Plan,
    marks: Marks,
    run: str,
    progress: Heard,
    crew: Crew,
) -> dict[str, UnitMark]:
    """Mine the units without a mark; returns the marks of all."""
    out = isolation.left_out(store)
    pending = (
        dataclasses.replace(ref, run=run, isolated=out.get(ref.unit_id, ()))
        for ref in plan.refs()
        if ref.unit_id not in marks
    )
    leave_out = LeaveOut(store, progress)
    new: dict[str, UnitMark] = {}
    left = sum(plan.units.values()) - len(marks)
    begun: set[str] = set()  # corpora
    for done in crew.units(pending, left, leave_out):
        leave_out.rows += done.rows
        progress.unit(done)
        corpus = done.mark["unit_id"].rpartition("-")[0]
        if corpus not in begun and (warning := _mostly_unreadable(done, config)):
            progress.note(warning)
        begun.add(corpus)
        new[done.mark["unit_id"]] = done.mark
        if len(new) >= MARKS_TOGETHER:
            keep_marks(store, new)
            new.clear()
    found = read_marks(store)
    check_marks(store, found, run)
    keep_marks(store, found, all_=True)
    return found


class Heard:
    """Passes on what happens, and lets the heartbeat of OUT say it.

    Args:
        progress: told about everything.
        mine: the lease of OUT.
        config: of the run.
        store: OUT.
    """

    def __init__(self, progress: Progress, mine: lease.Lease, config: Config, store: Store):
        self.progress = progress
        self.store = store
        self.mine = mine
        self.config = config
        self.times = Times()

    def start(self, units: int, captions: int, done_units: int, done_captions: int) -> None:
        """The plan is made."""
        self.progress.start(units, captions, done_units, done_captions)
        self.left = captions - done_captions
        self.captions, self.done, self.began = captions, 0, time.monotonic()

    def unit(self, unit: MinedUnit) -> None:
        """A unit is committed; raises `Refused` when OUT is somebody else's by now."""
        self.mine.check()
        self.progress.unit(unit)
        self.times.add(unit)
        self.done += unit.rows
        rate = self.done / max(time.monotonic() - self.began, 1e-9)
        left_s = max(self.left - self.done, 0) / rate
        self.mine.tell(captions=self.captions, rate=round(rate, 3), left_s=round(left_s), at="")

    def note(self, text: str) -> None:
        """Something worth a line of its own."""
        self.progress.note(text)

    def barrier(self) -> None:
        """All units are committed; raises `Refused` when OUT is somebody else's by now."""
        self.mine.check()
        self.mine.tell(rate=0, at="verdicts, duplicates, shards, report")
        for line in self.times.lines(self.config):
            self.progress.note(line)
        if told := estimate.account(self.store, self.times.total_s, self.times.rows):
            self.progress.note(told)
        self.times = Times()
        self.progress.barrier()


def write_report(store: Store) -> None:
    """Write report/index.html and report/audit.ipynb of a finished OUT."""
    from miner.report import write_report as write

    write(store)


class LeaveOut:
    """Remembers in OUT which rows are left out, says so, and knows when it is no matter of rows.

    Args:
        store: OUT.
        progress: told about every row.
    """

    def __init__(self, store: Store, progress: Progress):
        self.store = store
        self.progress = progress
        self.rows = 0  # in committed units of this call
        self.out = 0

    def __call__(self, ref: UnitRef, found: isolation.Isolated) -> UnitRef:
        """The unit without these rows.

        Raises:
            Refused: so many rows fail that the fault must be elsewhere.
        """
        self.out += len(found.faults)
        lines = isolation.told(ref, found)
        if self.out >= MANY and self.out > MANY_SHARE * (self.rows + ref.rows):
            raise Refused(
                f"{self.out} of {self.rows + ref.rows} rows fail, which is no matter of the rows; "
                f"the last: {lines[-1]}"
            )
        ref = isolation.remember(self.store, ref, found)
        for line in lines:
            self.progress.note(line)
        return ref


def describe(config: Config, plan: Plan, files: Mapping[str, str]) -> dict[str, Any]:
    """Content of run.json: the resolved configuration without secrets, hash, versions, seed.

    `files` are the digests of the files that the configuration stands for.
    """
    versions = {"histomine": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[package] = metadata.version(package)
    units = json.dumps([config.identity(), dict(files), plan.fingerprint], sort_keys=True)
    return {
        "config": all_masked(config.model_dump(mode="json")),
        "identity": config.identity(),
        "hash": config.digest(),
        "run": hashlib.sha256(units.encode()).hexdigest(),
        "seed": config.seed,
        "rows": dict(plan.rows),
        "plan": plan.fingerprint,
        "versions": versions,
        "files": dict(files),
    }


def _try_side_files(config: Config, plan: Plan, store: Store) -> None:
    """Read the side files of each corpus's first unit, before anything is mined for nothing."""
    for corpus in config.corpora:
        if not corpus.side_paths:
            continue
        name = corpus_name(corpus)
        ref = next(ref for ref in plan.refs() if ref.corpus == name)
        try:
            for row in load_rows(ref, corpus, store):
                sample = {
                    "image": row.image,
                    "group": row.group or row.image,
                    "row": row.row,
                    "sample_id": sample_id(name, row.row, row.image, row.caption),
                }
                side_files(sample, corpus.side_paths, corpus.path, strict=True)
        except OSError as error:
            why = error.strerror or error
            raise Refused(f"corpora.{name}.side_paths: {error.filename}: {why}") from None


def _mostly_unreadable(done: MinedUnit, config: Config) -> str | None:
    """A warning where most rows of a unit cannot be read: it is not a picture that is wrong."""
    bad = done.status.get("unreadable", 0)
    if 2 * bad <= done.rows:
        return None
    name = done.mark["unit_id"].rpartition("-")[0]
    (corpus,) = (corpus for corpus in config.corpora if corpus_name(corpus) == name)
    more = advice(corpus, done.unreadable) or f"miner inspect {corpus.path} says more"
    return f"warning: {name}: {bad} of its first {done.rows} rows cannot be read; {more}"
