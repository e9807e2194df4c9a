"""What a run will cost: from a sample to all, with an interval that holds as often as it says."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from miner.cli import app
from miner.core.amounts import unit
from miner.core.layout import ESTIMATE, TOOK
from miner.core.store import Store
from miner.corpora.plan import UnitRef
from miner.estimate import CONFIDENCE, account, said, spread, total_of
from miner.report.gather import estimated
from tests.bench.memory import write_pairs


def test_equal_units_leave_no_doubt():
    amount = total_of([2.0, 4.0, 2.0], [10, 20, 10], 1000, 60)
    assert (amount.low, amount.middle, amount.high) == pytest.approx((200, 200, 200))


def test_all_units_leave_no_doubt_however_they_differ():
    amount = total_of([1.0, 5.0, 3.0], [10, 10, 10], 30, 3)
    assert (amount.low, amount.middle, amount.high) == pytest.approx((9, 9, 9))


def test_the_interval_holds_as_often_as_it_says():
    rng = np.random.default_rng(0)
    rows = rng.integers(20, 40, 500)
    seconds = rows * rng.gamma(4, 0.25, 500)
    held = 0
    for _ in range(400):
        at = rng.choice(500, 12, replace=False)
        amount = total_of(seconds[at].tolist(), rows[at].tolist(), int(rows.sum()), 500)
        held += amount.low <= seconds.sum() <= amount.high
    assert CONFIDENCE - 0.06 < held / 400 < CONFIDENCE + 0.05


def test_a_sample_has_units_of_all_corpora():
    refs = [
        UnitRef(f"{c}-{i}", c, i, 5) for c, n in (("a", 30), ("b", 60), ("c", 10)) for i in range(n)
    ]
    found = spread(refs, 10, 1)
    assert [sum(ref.corpus == c for ref in found) for c in "abc"] == [3, 6, 1]
    assert len({ref.unit_id for ref in found}) == 10
    assert spread(refs[:3], 3, 7) == refs[:3]


def test_the_line_holds_the_estimate_against_what_it_took():
    made = {"rows": 200, "seconds": {"low": 80.0, "middle": 100.0, "high": 120.0}}
    line = said(made, 55.0, 100)
    assert line == "0.55 s of work a caption; estimated were 0.50 (0.40-0.60)"


def test_the_report_shows_what_the_run_came_to_over_all_its_calls(tmp_path):
    store = Store(tmp_path)
    assert account(store, 1.0, 10) is None  # nothing was estimated
    amount = {"low": 80.0, "middle": 100.0, "high": 120.0}
    none = dict.fromkeys(("low", "middle", "high"), 0.0)
    made = {"rows": 200, "seconds": amount, "bytes": amount, "tokens_in": none, "tokens_out": none}
    store.write_json(ESTIMATE, made)
    assert estimated(store) == []  # nothing was mined
    for seconds in (50.0, 22.0):
        assert "estimated were 0.50" in account(store, seconds, 100)
    assert store.read_json(TOOK) == {"seconds": 72.0, "rows": 200}
    (time, size) = estimated(store)
    assert time == ("minutes of work, all workers together", "1.67", "1.33–2", "1.2")
    assert size[0] == "kB of units"


@pytest.mark.parametrize(
    ("kind", "amount", "said"),
    [
        ("time", 7200, ("hours", 2)),
        ("time", 90, ("minutes", 1.5)),
        ("time", 0.5, ("seconds", 0.5)),
        ("bytes", 3e9, ("GB", 3)),
        ("tokens", 12_000, ("thousands of tokens", 12)),
    ],
)
def test_an_amount_is_told_in_the_unit_in_which_it_reads_best(kind, amount, said):
    name, factor = unit(kind, amount)
    assert (name, amount * factor) == (said[0], pytest.approx(said[1]))


@pytest.mark.whole
def test_the_command_mines_a_sample_and_leaves_no_unit(tmp_path):
    write_pairs(tmp_path / "pairs", 6)
    words = ["plan", "quickstart.yaml", "--corpus", f"pairs={tmp_path / 'pairs'}"]
    words += ["--out", str(tmp_path / "out"), "--set", "runner.unit_rows=1", "--estimate", "3"]
    words += ["--set", "runner.resources.segment.num_gpus=1", "--set", "runner.workers=2"]
    done = CliRunner().invoke(app, words, env={"COLUMNS": "120"})
    assert done.exit_code == 0, done.output
    for word in ("6 captions, from 3 units", "of GPUs reserved", "B of units"):
        assert word in done.output
    assert "tokens" not in done.output  # no language model is asked
    found = json.loads((tmp_path / "out/estimate/expected.json").read_text())
    for name in ("hours", "gpu_hours", "seconds", "bytes"):
        assert 0 <= found[name]["low"] <= found[name]["middle"] <= found[name]["high"]
        assert found[name]["middle"] > 0
    assert found["gpu_hours"]["middle"] == pytest.approx(2 * found["hours"]["middle"])
    assert found["tokens_in"]["middle"] == 0
    assert not (tmp_path / "out/units").exists()
