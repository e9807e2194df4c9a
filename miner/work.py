"""One unit through some stages: what a worker does, in this process or as a Ray actor."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import pyarrow.compute as pc

from filters.decide import decide
from miner import stages
from miner.commits import commit
from miner.config import Config
from miner.core.errors import Refused
from miner.core.store import Store
from miner.core.threads import fix_threads
from miner.core.unit import Stage, Unit
from miner.corpora.plan import UnitRef, load_unit


class Worker:
    """Holds the loaded stages of one group; units pass through it.

    Args:
        config: the run.
        names: the group's stages, in pipeline order.
    """

    def __init__(self, config: Config, names: tuple[stages.Name, ...]):
        fix_threads(config.runner.threads)
        self.config = config
        self.store = Store(config.out)
        self.stages: list[Stage] = []
        self.refused: Refused | None = None
        try:
            self.stages += (stages.BUILD[name](config) for name in names)
        except Refused as error:  # of an actor that cannot start Ray prints pages of traceback
            self.refused = error
        self.last = names[-1] == stages.NAMES[-1]

    def process(self, ref: UnitRef, passed: Passed | None) -> Any:
        """Run the group's stages.

        Args:
            ref: which unit.
            passed: what the group before returned; None for the first, which reads the corpus.

        Returns:
            What the next group is passed; after the last group, the mark of `miner.commits.commit`
            with `accepted`, how many masks would be kept if this unit were all (the barrier
            decides for good).

        Raises:
            Refused: a stage could not be built.
        """
        if self.refused is not None:
            raise self.refused
        if passed is None:
            unit, said = load_unit(ref, self.config.corpora, self.store), Said()
        else:
            unit, said = passed
        for stage in self.stages:
            before = _summary(stage)
            unit = stage(unit)
            said = said.plus(before, _summary(stage))
        if not self.last:
            return unit, said
        mark = commit(self.store, ref.unit_id, unit, said.counts, said.missing)
        verdicts = decide(unit.candidates, self.config.filters)
        return {**mark, "accepted": pc.sum(verdicts["keep"]).as_py() or 0}


@dataclasses.dataclass(frozen=True)
class Said:
    """What the stages say of a unit beside its tables.

    Attributes:
        counts: what they counted: texts, calls, faults.
        missing: what took no part, and how to get it.
    """

    counts: Mapping[str, int] = dataclasses.field(default_factory=dict)
    missing: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def plus(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> Said:
        """With what a stage's summary gained over a unit."""
        old = before.get("counts", {})
        gained = {k: n - old.get(k, 0) for k, n in after.get("counts", {}).items()}
        return Said({**self.counts, **gained}, {**self.missing, **after.get("missing", {})})


Passed = tuple[Unit, Said]


def _summary(stage: Stage) -> Mapping[str, Any]:
    """`counts` and `missing` of a stage that keeps them."""
    summary = getattr(stage, "summary", None)
    return summary() if summary is not None else {}
