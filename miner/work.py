"""One unit through some stages: what a worker does, in this process or as a Ray actor."""

from __future__ import annotations

from typing import Any

import pyarrow.compute as pc

from filters.decide import decide
from miner import stages
from miner.config import Config
from miner.plan import UnitRef, load_unit
from miner.store import Store
from miner.threads import fix_threads
from miner.unit import Unit
from miner.units import commit


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
        self.stages = [stages.BUILD[name](config) for name in names]
        self.first = names[0] == stages.NAMES[0]
        self.last = names[-1] == stages.NAMES[-1]

    def process(self, ref: UnitRef, unit: Unit | None) -> Any:
        """Run the group's stages.

        Args:
            ref: which unit.
            unit: what the group before made; None for the first group, which reads the corpus.

        Returns:
            The unit; after the last group, the mark of `miner.units.commit` with `accepted`, how
            many masks would be kept if this unit were all (the barrier decides for good).
        """
        if self.first:
            unit = load_unit(ref, self.config.corpora, self.store)
        assert unit is not None
        for stage in self.stages:
            unit = stage(unit)
        if not self.last:
            return unit
        mark = commit(self.store, ref.unit_id, unit)
        verdicts = decide(unit.candidates, unit.images, self.config.filters)
        return {**mark, "accepted": pc.sum(verdicts["keep"]).as_py() or 0}
