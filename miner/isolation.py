"""Units that kill their worker, raise or never end: the single row is found and left out.

A unit that fails is tried again in a new process, then in parts, down to the single picture. The
unit is then run anew as a whole, with that picture's rows `unreadable`, so its bytes depend on
which rows were left out and not on how they were found.
"""

from __future__ import annotations

import contextlib
import dataclasses
import statistics
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from signal import SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP
from typing import Any

from miner.child import Child, Died, Late, Raised
from miner.config import Config, StageName
from miner.core.errors import DISK, Refused
from miner.core.shown import shown
from miner.core.store import Store
from miner.corpora.plan import UnitRef, unit_rows
from miner.inside import Inside
from miner.stages import NAMES
from miner.work import READ, Passed, joined

FOLDER = "isolated"  # in OUT: what was left out of which unit

# Without `runner.unit_timeout_s`: a picture is given up after this many medians of the time that
# units took, and never sooner than after SILENCE_S.
MEDIANS = 20
SILENCE_S = 600.0
LOADING_S = 1800.0
# Signals that come from what a process does. All others were sent to it, by an operator or the
# kernel; they say nothing of the picture.
FAULTS = frozenset({SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP})
PATIENCE = 20  # times that a process may be killed from outside, or the machine may fail, in a row
LONGEST_PAUSE_S = 60
LOADS = 3  # times that a worker may die while it loads its models


@dataclasses.dataclass(frozen=True)
class Fault:
    """Why rows fail.

    Attributes:
        reason: `worker_died`, `out_of_memory`, `timed_out` or `raised:` and the error's name.
        stage: `read`, a stage, or `commit`.
        picture: image_id that was being worked on, None when unknown.
        rows: of that picture, by row number.
        detail: signal or message.
    """

    reason: str
    stage: str
    picture: str | None
    rows: tuple[int, ...]
    detail: str


@dataclasses.dataclass(frozen=True)
class Isolated:
    """Instead of a unit's result: rows that must be left out, by row number."""

    faults: Mapping[int, Fault]


class IsolatedWorker:
    """A worker that nothing ends: it works in a process of its own, which is started again.

    Without `runner.isolation` it works here; errors then cost their picture's rows all the same.

    Args:
        config: the run.
        names: the worker's stages.
    """

    def __init__(self, config: Config, names: tuple[StageName, ...]):
        self.config = config
        self.names = names
        self.store = Store(config.out)
        self.child: Child | Inside | None = None
        self.took: deque[float] = deque(maxlen=101)

    def process(self, ref: UnitRef, passed: Passed | None) -> Any:
        """Run the stages over a unit; see `miner.work.Worker.process`.

        Returns:
            What the worker returns, or `Isolated`.

        Raises:
            Refused: a stage cannot be built, or fails whatever the picture.
            OSError: disk, network or rights fail for good.
        """
        began = time.monotonic()
        for _ in range(2):
            answer = self._ask("process", ref, passed)
            if not isinstance(answer, Fault):
                self.took.append(time.monotonic() - began)
                return answer
            self.close()
        if passed is None:
            rows = unit_rows(ref, self.store)
        else:
            rows = passed[0].samples["row"].to_pylist()
        bad: dict[int, Fault] = {}
        parts: list[Passed] = []
        if answer.stage == READ:
            self._split("read", (ref,), rows, answer, bad, [])
        if not bad:
            self._split("run", (ref, passed), rows, answer, bad, parts)
        if bad.keys() - dict(ref.isolated).keys():
            return Isolated(bad)
        for row, fault in bad.items():
            raise Refused(
                f"{ref.unit_id}: row {row} fails though it is left out ({fault.reason} in "
                f"{fault.stage}: {fault.detail})"
            )
        # Every part passes and the whole does not: it was too much at once.
        done = joined(parts, rows)
        if self.names[-1] != NAMES[-1]:
            return done
        stored = self._ask("commit", ref, done)
        if isinstance(stored, Fault):
            raise Refused(f"{ref.unit_id}: {stored.reason} in {stored.stage}: {stored.detail}")
        return stored

    def close(self) -> None:
        """End the process; the next unit gets a new one."""
        if self.child is not None:
            self.child.close()
            self.child = None

    def _split(
        self,
        method: str,
        args: tuple[Any, ...],
        rows: Sequence[int],
        fault: Fault,
        bad: dict[int, Fault],
        parts: list[Any],
    ) -> None:
        """Find the single rows among `rows`, which fail together.

        Args:
            method: `run` of the worker, or `read`, which needs no models.
            args: its arguments before the rows.
            rows: row numbers, in the order of the unit.
            fault: how they failed.
            bad: gets the rows that fail alone.
            parts: gets what passes.
        """
        if len(rows) == 1:
            bad[rows[0]] = fault
            return
        for some in _parts(rows, fault.rows):
            answer = self._ask(method, *args, frozenset(some))
            if isinstance(answer, Fault):
                if not answer.reason.startswith("raised:") or "Accelerator" in answer.reason:
                    self.close()
                self._split(method, args, some, answer, bad, parts)
            else:
                parts.append(answer)

    def _ask(self, method: str, *args: Any) -> Any:
        """The worker's answer, or the `Fault` that is the work's own.

        What happens to the machine meanwhile (a process killed or stopped from outside, a network
        that fails) is waited out.

        Raises:
            Refused: a stage cannot be built.
            OSError: disk, network or rights fail for good.
        """
        for n in range(PATIENCE + 1):
            try:
                child = self._loaded(method != "read")
                kills = memory_kills()
                return child.ask(method, *args, late=self._late)
            except Raised as error:
                reason = "out_of_memory" if error.memory else f"raised:{error.name}"
                return self._fault(child, reason=reason, detail=str(error))
            except Died as died:
                if memory_kills() > kills:
                    return self._fault(child, reason="out_of_memory", detail=str(died))
                if n == PATIENCE or not _from_outside(died):
                    return self._fault(child, reason="worker_died", detail=str(died))
                self.close()
            except Late as late:
                if n == PATIENCE or not _from_outside(late):
                    return self._fault(
                        child, reason="timed_out", detail=f"after {self._limit_s():.0f} s"
                    )
                self.close()
            except OSError as error:
                if n == PATIENCE or error.errno in DISK:
                    raise
                time.sleep(min(2**n, LONGEST_PAUSE_S))
        raise AssertionError("the last round returns or raises")

    def _loaded(self, models: bool) -> Child | Inside:
        """The process, a new one where there is none, with its models where they are needed."""
        if models and self.child is not None and not self.child.eager:
            self.close()
        for n in range(PATIENCE):
            if self.child is not None:
                return self.child
            made = Child if self.config.runner.isolation else Inside
            child = self.child = made(self.config, self.names, models)
            try:
                child.answer(lambda began, heard: time.monotonic() - began > LOADING_S)
                return child
            except Raised as error:
                self.close()
                raise Refused(f"{self._what()} cannot be loaded: {error.name}: {error}") from None
            except (Died, Late) as error:
                self.close()
                if n + 1 >= LOADS and not _from_outside(error):
                    raise Refused(f"{self._what()} cannot be loaded: {error}") from None
            except BaseException:
                self.close()
                raise
        raise Refused(f"{self._what()}: whatever loads them is killed from outside")

    def _what(self) -> str:
        return f"the models of {', '.join(self.names)}"

    def _late(self, began: float, heard: float) -> bool:
        since = heard if self.config.runner.unit_timeout_s is None else began
        return time.monotonic() - since > self._limit_s()

    def _limit_s(self) -> float:
        if self.config.runner.unit_timeout_s is not None:
            return self.config.runner.unit_timeout_s
        return max(SILENCE_S, MEDIANS * statistics.median(self.took or [0.0]))

    @staticmethod
    def _fault(child: Child | Inside, reason: str, detail: str) -> Fault:
        rows = child.rows.get(child.picture or "", [])
        return Fault(reason, child.stage, child.picture, tuple(rows), shown(detail))


def _from_outside(error: Died | Late) -> bool:
    """Whether somebody killed or stopped the process; an operator, the kernel, a scheduler."""
    if isinstance(error, Late):
        return error.stopped
    return bool(error.signal) and error.signal not in FAULTS


def _parts(rows: Sequence[int], suspects: Sequence[int]) -> list[list[int]]:
    """The suspects and the others; halves, where there are none or nobody else."""
    first = [row for row in rows if row in suspects]
    if not first or len(first) == len(rows):
        first = list(rows[: len(rows) // 2])
    others = [row for row in rows if row not in first]
    return [first, others]


def memory_kills() -> int:
    """How many processes the kernel has ended for lack of memory, here or in this container."""
    total = 0
    for path, name in (("/proc/vmstat", "oom_kill"), ("/sys/fs/cgroup/memory.events", "oom_kill")):
        with contextlib.suppress(OSError):
            for line in Path(path).read_text().splitlines():
                if line.startswith(f"{name} "):
                    total += int(line.split()[1])
    return total


def left_out(store: Store) -> dict[str, tuple[tuple[int, str], ...]]:
    """What earlier calls found: rows and reasons by unit."""
    found = {}
    for name in store.names(FOLDER, suffix=".json"):
        rows = store.read_json(name)["rows"]
        unit_id = name.removeprefix(f"{FOLDER}/").removesuffix(".json")
        found[unit_id] = tuple(sorted((int(row), why["reason"]) for row, why in rows.items()))
    return found


def remember(store: Store, ref: UnitRef, isolated: Isolated) -> UnitRef:
    """Store what was found, so that no rerun fails on it again.

    Returns:
        The unit without these rows.
    """
    name = f"{FOLDER}/{ref.unit_id}.json"
    rows = store.read_json(name)["rows"] if store.exists(name) else {}
    rows |= {str(row): dataclasses.asdict(fault) for row, fault in isolated.faults.items()}
    store.write_json(name, {"rows": rows})
    reasons = dict(ref.isolated) | {row: f.reason for row, f in isolated.faults.items()}
    return dataclasses.replace(ref, isolated=tuple(sorted(reasons.items())))


def forget(store: Store) -> list[str]:
    """Let the units with rows left out be mined anew, all of them; returns their names."""
    units = sorted(left_out(store))
    for unit_id in units:
        store.remove(f"units/{unit_id}.json")
        store.remove(f"{FOLDER}/{unit_id}.json")
    return units


def told(ref: UnitRef, isolated: Isolated) -> list[str]:
    """A line for every row left out."""
    return [
        f"{ref.unit_id}: row {row}, picture {fault.picture or 'unknown'}: {fault.reason} in "
        f"{fault.stage} ({fault.detail}); the row is left out, the others go on"
        for row, fault in sorted(isolated.faults.items())
    ]
