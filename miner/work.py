"""One unit through some stages: what a worker does, in a process of its own or in the caller's."""

from __future__ import annotations

import collections
import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from miner import stages
from miner.commits import UnitMark, commit
from miner.config import Config, StageName
from miner.core.memory import give_back
from miner.core.store import Store
from miner.core.threads import fix_threads
from miner.core.unit import Stage, Unit
from miner.corpora.plan import UnitRef, load_unit

READ, COMMIT = "read", "commit"  # before and after the stages


@dataclasses.dataclass(frozen=True)
class Reported:
    """What the stages say of a unit beside its tables.

    Attributes:
        counts: what they counted: texts, calls, faults.
        missing: what took no part, and how to get it.
        seconds: by stage.
    """

    counts: Mapping[str, int] = dataclasses.field(default_factory=dict)
    missing: Mapping[str, str] = dataclasses.field(default_factory=dict)
    seconds: Mapping[str, float] = dataclasses.field(default_factory=dict)

    def took(self, stage: str, began: float) -> Reported:
        """With the time since `began`, of `time.monotonic`, counted for a stage."""
        seconds = self.seconds.get(stage, 0.0) + time.monotonic() - began
        return dataclasses.replace(self, seconds={**self.seconds, stage: seconds})

    def plus(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> Reported:
        """With what a stage's summary gained over a unit."""
        old = before.get("counts", {})
        gained = {k: n - old.get(k, 0) for k, n in after.get("counts", {}).items()}
        missing = {**self.missing, **after.get("missing", {})}
        return dataclasses.replace(self, counts={**self.counts, **gained}, missing=missing)


Passed = tuple[Unit, Reported]


@dataclasses.dataclass(frozen=True)
class MinedUnit:
    """A unit that a worker has committed.

    Attributes:
        mark: what was stored.
        status: rows by their status so far.
        unreadable: rows that cannot be read, by reason.
        seconds: by stage.
    """

    mark: UnitMark
    status: Mapping[str, int]
    seconds: Mapping[str, float]
    unreadable: Mapping[str, int] = dataclasses.field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Caption rows."""
        return self.mark["tables"]["samples"]["rows"]


class Worker:
    """Holds the loaded stages of one group; units pass through it.

    Args:
        config: the run.
        names: the group's stages, in pipeline order.
        tell: hears what is begun, ("stage", `read`, the name of a stage or `commit`), and which
            rows a unit has, ("rows", row numbers by image_id).
    """

    def __init__(
        self,
        config: Config,
        names: tuple[StageName, ...],
        tell: Callable[[str, Any], None] = lambda what, value: None,
    ):
        self.config = config
        self.names = names
        self.store = Store(config.out)
        self.tell = tell
        self.stages: list[Stage] | None = None

    def load(self) -> list[Stage]:
        """Build the stages, once.

        Raises:
            Refused: one cannot be built.
        """
        if self.stages is None:
            self.stages = [stages.BUILD[name](self.config) for name in self.names]
            fix_threads(self.config.runner.threads)
        return self.stages

    def process(self, ref: UnitRef, passed: Passed | None) -> Any:
        """Run the group's stages over a unit.

        Args:
            ref: which unit.
            passed: what the group before returned; None for the first, which reads the corpus.

        Returns:
            What the next group is passed; after the last group, what `commit` returns.

        Raises:
            Refused: a stage could not be built.
        """
        done = self.run(ref, passed)
        return self.commit(ref, done) if self.names[-1] == stages.NAMES[-1] else done

    def run(self, ref: UnitRef, passed: Passed | None, only: Set[int] | None = None) -> Passed:
        """Run the group's stages over a unit, or over some rows of it; nothing is stored.

        Args:
            ref: which unit.
            passed: as in `process`.
            only: row numbers; the others are left out.

        Raises:
            Refused: a stage could not be built.
        """
        if passed is None:
            began = time.monotonic()
            unit = self.read(ref, only)
            said = Reported().took(READ, began)
        else:
            unit, said = passed
            unit = unit if only is None else part(unit, only)
        self.tell("rows", _rows(unit))
        for name, stage in zip(self.names, self.load(), strict=True):
            self.tell("stage", name)
            before, began = stage.summary(), time.monotonic()
            unit = stage(unit)
            said = said.plus(before, stage.summary()).took(name, began)
        give_back()
        return unit, said

    def read(self, ref: UnitRef, only: Set[int] | None = None) -> Unit:
        """Read a unit of the corpus, or some rows of it."""
        self.tell("stage", READ)
        return load_unit(ref, self.config.corpora, self.store, only)

    def commit(self, ref: UnitRef, done: Passed) -> MinedUnit:
        """Store a unit that went through all stages."""
        self.tell("stage", COMMIT)
        began = time.monotonic()
        unit, said = done
        mark = commit(self.store, ref.unit_id, unit, said.counts, said.missing, ref.run)
        told = [unit.samples[name].to_pylist() for name in ("status", "reason")]
        status = collections.Counter(told[0])
        unreadable = collections.Counter(
            str(why) for name, why in zip(*told, strict=True) if name == "unreadable"
        )
        return MinedUnit(
            mark,
            {name or "asked": n for name, n in sorted(status.items(), key=str)},
            said.took(COMMIT, began).seconds,
            dict(sorted(unreadable.items())),
        )


def part(unit: Unit, rows: Set[int]) -> Unit:
    """The unit of some rows, with their pictures and candidates."""
    samples = unit.samples.filter(pc.is_in(unit.samples["row"], pa.array(sorted(rows), pa.int64())))
    pictures = samples["image_id"].combine_chunks()
    images, candidates = (
        table.filter(pc.is_in(table["image_id"], pictures))
        for table in (unit.images, unit.candidates)
    )
    return Unit(samples, images, candidates)


def joined(parts: Sequence[Passed], rows: Sequence[int]) -> Passed:
    """Parts of a unit as if they had never been apart.

    Args:
        parts: no picture is in two of them.
        rows: row numbers of the unit, in order.
    """
    samples, images, candidates = (
        pa.concat_tables([getattr(unit, name) for unit, _ in parts], promote_options="default")
        for name in ("samples", "images", "candidates")
    )
    samples = _sorted(samples, "row", rows)
    pictures = list(dict.fromkeys(samples["image_id"].to_pylist()))
    unit = Unit(
        samples, _sorted(images, "image_id", pictures), _sorted(candidates, "image_id", pictures)
    )
    counts: dict[str, int] = {}
    missing: dict[str, str] = {}
    seconds: dict[str, float] = {}
    for _, said in parts:
        missing |= said.missing
        for name, n in said.counts.items():
            counts[name] = counts.get(name, 0) + n
        for name, s in said.seconds.items():
            seconds[name] = seconds.get(name, 0.0) + s
    return unit, Reported(counts, missing, seconds)


def _sorted(table: pa.Table, column: str, order: Sequence[Any]) -> pa.Table:
    """Rows in the order of the values of a column; those of equal values stay as they are."""
    rank = {value: i for i, value in enumerate(order)}
    ranks = [rank[value] for value in table[column].to_pylist()]
    return table.take(pa.array(sorted(range(len(ranks)), key=ranks.__getitem__), pa.int64()))


def _rows(unit: Unit) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for row in unit.samples.select(["image_id", "row"]).to_pylist():
        found.setdefault(row["image_id"], []).append(row["row"])
    return found
