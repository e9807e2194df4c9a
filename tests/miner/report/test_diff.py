"""`miner diff` of two small OUTs that were made by hand."""

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from miner.cli import app
from miner.core.errors import Refused
from miner.core.layout import FINISHED, RUN
from miner.core.store import Store
from miner.load_config import check_config
from miner.report.diff import diff

CORPORA = [{"kind": "quilt", "path": "q"}]


def out(folder, precision, states, rows):
    """`states`: of masks by (image, concept): kept or the reason; `rows`: (status, reason)."""
    store = Store(folder)
    samples = {
        "sample_id": [f"q-{i}" for i in range(len(rows))], "corpus": ["q"] * len(rows),
        "row": list(range(len(rows))), "image": [f"{i}.jpg" for i in range(len(rows))],
        "status": [s for s, _ in rows], "reason": pa.array([r for _, r in rows], pa.string()),
    }  # fmt: skip
    store.write_table("ledger/samples/q.parquet", pa.table(samples))
    masks = {
        "sample_id": [f"q-{i}" for i, _ in states], "concept": [c for _, c in states],
        "polarity": ["affirmed"] * len(states), "segmenter": ["s"] * len(states),
        "keep": [v == "kept" for v in states.values()], "score": [0.5] * len(states),
        "reason": pa.array([None if v == "kept" else v for v in states.values()], pa.string()),
        "area_px": [9] * len(states), "calibration": ["global"] * len(states),
    }  # fmt: skip
    store.write_table("ledger/candidates/q.parquet", pa.table(masks))
    config = check_config({"corpora": CORPORA, "filters": {"precision": precision}}, "t")
    store.write_json(RUN, {"config": config.model_dump(mode="json")})
    store.write_json(FINISHED, {"digest": "d"})
    return store


@pytest.fixture
def pair(tmp_path):
    a = out(
        tmp_path / "a", 0.9,
        {(0, "gland"): "kept", (0, "fat"): "low_score", (1, "gland"): "low_score"},
        [("written", None), ("rejected", "low_score"), ("unreadable", "truncated")],
    )  # fmt: skip
    b = out(
        tmp_path / "b", 0.8,
        {(0, "gland"): "kept", (0, "fat"): "kept", (1, "gland"): "kept", (1, "mucin"): "speck"},
        [("written", None), ("written", None)],
    )  # fmt: skip
    return a, b


def test_what_changed_and_why(pair):
    found = diff(*pair)
    assert found.settings == ("filters.precision: 0.9 -> 0.8",)
    assert found.rows == {
        ("rejected: low_score", "written"): 1, ("unreadable: truncated", "not there"): 1,
    }  # fmt: skip
    assert found.same_rows == 1
    assert found.masks == {("low_score", "written"): 2, ("not there", "speck"): 1}
    assert found.same_masks == 1
    assert found.concepts == {"fat": (0, 1), "gland": (0, 1)}
    assert found.examples["low_score", "written"] == ["q-0 (fat)", "q-1 (gland)"]
    assert found.row_examples == {
        ("rejected: low_score", "written"): ["q-1"],
        ("unreadable: truncated", "not there"): ["q-2"],
    }


def test_a_precision_that_nobody_set_is_the_default(tmp_path):
    made = [("written", None)]
    a, b, c = (out(tmp_path / str(p), p, {(0, "gland"): "kept"}, made) for p in (None, 0.7, 0.9))
    assert diff(a, b).settings == ("filters.precision: 0.9 -> 0.7",)
    assert diff(a, c).settings == ()


def test_a_run_beside_itself(pair):
    found = diff(pair[0], pair[0])
    assert (found.settings, found.rows, found.masks, found.concepts) == ((), {}, {}, {})
    assert (found.same_rows, found.same_masks) == (3, 3)


def test_the_command(pair, tmp_path):
    done = CliRunner().invoke(app, ["diff", pair[0].url, pair[1].url])
    assert done.exit_code == 0, done.output
    assert "filters.precision: 0.9 -> 0.8" in done.output
    assert "q-0 (fat), q-1 (gland)" in done.output
    pair[1].remove(FINISHED)
    with pytest.raises(Refused, match="has not finished"):
        diff(*pair)
    with pytest.raises(Refused, match="no such folder"):
        diff(pair[0], Store(tmp_path / "nothing"))
