"""`miner evaluate` on a finished OUT, with the masks of its own ledger as the experts'."""

import io
import json

import pytest
from rich.console import Console
from typer.testing import CliRunner

from miner.cli import app
from miner.commands.evaluate import _table
from tests.miner.finished import expert_masks, finished


def test_no_figure_is_cut_on_a_terminal_of_80_columns():
    figures = {"mined": 1234, "judged": 1234, "dice": 0.8123, "iou": 0.7123, "precision": 0.9123,
               "precision_low": 0.891, "precision_high": 0.934,
               "objects": {"pq": 0.6123, "aji": 0.5123}}  # fmt: skip
    rows = {"epithelial nucleus": figures, "adenocarcinoma": figures}
    found = {"concepts": rows, "corpora": {}, "strata": {"diagnosis": rows}, "all": figures}
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(_table(found))
    text = console.export_text()
    assert text.count("0.89-0.93") == 5
    assert "…" not in text
    assert "adenocarcinoma" in text


@pytest.mark.whole
def test_figures_in_the_table_in_the_file_and_the_worst_drawn(tmp_path):
    store = finished(tmp_path / "out")
    expert_masks(store, tmp_path / "masks")
    arguments = ["--masks", tmp_path / "masks", "--json", tmp_path / "f.json"]
    arguments += ["--worst", tmp_path / "worst.html"]
    done = CliRunner().invoke(app, ["evaluate", store.url, *map(str, arguments)])
    assert done.exit_code == 0, done.output
    found = json.loads((tmp_path / "f.json").read_text())
    assert found["all"]["precision"] == found["all"]["iou"] == 1
    assert found["asked"] >= found["all"]["judged"] > 3
    recall = found["thresholds"]["score"][0]["recall"]
    assert recall == round(found["thresholds"]["score"][0]["judged"] / found["asked"], 4)
    assert len(found["strata"]["organ"]) > 1
    assert f"{found['asked']} structures were asked for" in done.output
    page = (tmp_path / "worst.html").read_text()
    assert page.count("<img") == min(found["all"]["judged"], 24)
    assert "Here are <b>" not in page
