"""What Prometheus is told: units, rows by status, seconds by stage, who works and who waits."""

import pytest

from miner.cluster import metrics
from miner.cluster.pool import Staff
from miner.work import MinedUnit


class Metric:
    """One of Ray's; `told` has what it was given, by its labels."""

    made: dict[str, "Metric"]

    def __init__(self, name, description, *more):
        self.labels = more[-1] if more else ()
        self.told = {}
        self.made[name] = self

    def _add(self, value, labels):
        labels = labels or {}
        assert labels.keys() == set(self.labels)
        self.told.setdefault(tuple(labels.values()), []).append(value)

    def inc(self, value=1.0, labels=None):
        self._add(value, labels)

    def observe(self, value, labels=None):
        self._add(value, labels)

    def set(self, value, labels=None):
        self._add(value, labels)


@pytest.fixture
def made(monkeypatch):
    monkeypatch.setattr(Metric, "made", {}, raising=False)
    for kind in ("Counter", "Gauge", "Histogram"):
        monkeypatch.setattr(metrics, kind, Metric)
    return Metric.made


def test_a_committed_unit_and_how_it_stands(made):
    one = metrics.Metrics()
    mark = {"unit_id": "c-000000", "tables": {"samples": {"rows": 10}}, "masks": 7}
    one.unit(MinedUnit(mark, {"asked": 8, "no_entity": 2}, {"segment": 4.0, "score": 2.0}))
    one.state(5, 3, {"segment": Staff(up=2, idle=1, waiting=1, idle_gpus=0.5)})
    told = {name: metric.told for name, metric in made.items()}
    assert told == {
        "histomine_units": {(): [1.0]},
        "histomine_rows": {("asked",): [8], ("no_entity",): [2]},
        "histomine_stage_seconds": {("segment",): [4.0], ("score",): [2.0]},
        "histomine_units_left": {(): [5]},
        "histomine_units_underway": {(): [3]},
        "histomine_actors": {
            ("segment", "up"): [2],
            ("segment", "idle"): [1],
            ("segment", "waiting"): [1],
        },
        "histomine_gpus_idle": {("segment",): [0.5]},
    }
