"""The dashboard that ships shows what the driver counts, and nothing else."""

import json
import re

from miner.core.rooms import CONFIGS, HOME

SHOWN = re.compile(r"ray_(histomine_\w+?)(?:_total|_sum|_count|_bucket)?\b")
BOARD = json.loads((CONFIGS / "cluster/grafana.json").read_text())


def test_every_panel_shows_a_metric_that_there_is():
    source = (HOME / "miner/cluster/metrics.py").read_text()
    counted = set(re.findall(r'"(histomine_\w+)"', source))
    shown = {
        name
        for panel in BOARD["panels"]
        for target in panel["targets"]
        for name in re.findall(
            r"ray_(histomine_\w+?)(?:_total|_sum|_count|_bucket)?\b", target["expr"]
        )
    }
    assert shown == counted
    assert len({panel["id"] for panel in BOARD["panels"]}) == len(BOARD["panels"])
