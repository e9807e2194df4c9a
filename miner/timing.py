"""Where the time of a run goes: seconds by stage, the bottleneck, and what would balance it."""

from __future__ import annotations

import math

from miner.config import Config
from miner.stages import groups
from miner.work import COMMIT, READ, MinedUnit

LEAST = 0.005  # share of all from which a stage is named
EXAMPLE = 8  # actors of the bottleneck where the configuration gives no number


class Times:
    """Sums over units.

    Attributes:
        seconds: by stage, in the order in which stages follow one another.
        rows: captions.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.rows = 0

    def add(self, unit: MinedUnit) -> None:
        """Count a unit."""
        self.rows += unit.rows
        for stage, seconds in unit.seconds.items():
            self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds

    @property
    def total_s(self) -> float:
        """Seconds of work, all stages and workers."""
        return sum(self.seconds.values())

    def lines(self, config: Config) -> list[str]:
        """Shares of the stages, and how many actors of each group would keep up."""
        total = self.total_s
        if not total:
            return []
        shares = {stage: seconds / total for stage, seconds in self.seconds.items()}
        named = ", ".join(f"{s} {share:.0%}" for s, share in shares.items() if share >= LEAST)
        lines = [f"{total:.0f} s of work for {self.rows} captions: {named}"]
        pools = groups(config)
        if len(pools) > 1:
            work = [sum(self.seconds.get(stage, 0.0) for stage in names) for _, names in pools]
            work[0] += self.seconds.get(READ, 0.0)
            work[-1] += self.seconds.get(COMMIT, 0.0)
            actors = [need.workers or config.runner.workers or EXAMPLE for need, _ in pools]
            slow = max(range(len(pools)), key=lambda i: work[i] / actors[i])
            beside = " and ".join(
                f"{max(math.ceil(actors[slow] * work[i] / work[slow]), 1)} of {', '.join(names)}"
                for i, (_, names) in enumerate(pools)
                if i != slow
            )
            what = ", ".join(pools[slow][1])
            lines.append(f"{what} takes longest: {beside} keep up with {actors[slow]} actors of it")
        return lines
