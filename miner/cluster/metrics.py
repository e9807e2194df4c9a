"""What Prometheus and Grafana see of a run, through Ray (`ray_histomine_…`)."""

from __future__ import annotations

from collections.abc import Mapping

from ray.util.metrics import Counter, Gauge, Histogram

from miner.cluster.pool import Staff
from miner.work import MinedUnit

SECONDS = [0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0]


class Metrics:
    """Counts what the driver hears."""

    def __init__(self) -> None:
        self._units = Counter("histomine_units", "committed units")
        self._rows = Counter("histomine_rows", "captions of committed units", ("status",))
        self._stages = Histogram(
            "histomine_stage_seconds", "of a unit in a stage", SECONDS, ("stage",)
        )
        self._left = Gauge("histomine_units_left", "units that are not committed")
        self._underway = Gauge("histomine_units_underway", "units that are worked on or wait")
        self._actors = Gauge("histomine_actors", "actors by their stages", ("stages", "state"))
        self._gpus = Gauge("histomine_gpus_idle", "reserved by actors without a unit", ("stages",))

    def unit(self, done: MinedUnit) -> None:
        """A unit is committed."""
        self._units.inc()
        for status, n in done.status.items():
            self._rows.inc(n, {"status": status})
        for stage, seconds in done.seconds.items():
            self._stages.observe(seconds, {"stage": stage})

    def state(self, left: int, underway: int, actors: Mapping[str, Staff]) -> None:
        """How it stands.

        Args:
            left: units that are not committed.
            underway: units that are worked on or wait.
            actors: by stages.
        """
        self._left.set(left)
        self._underway.set(underway)
        for stages, staff in actors.items():
            for state in ("up", "idle", "waiting"):
                self._actors.set(getattr(staff, state), {"stages": stages, "state": state})
            self._gpus.set(staff.idle_gpus, {"stages": stages})
