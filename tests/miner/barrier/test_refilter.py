"""New verdicts from stored scores, and the explanation of each."""

import hashlib
import io
import shutil
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from typer.testing import CliRunner

from filters.config import FilterConfig
from filters.decide import decide
from filters.scores import SCORES
from miner.barrier.refilter import compare, refilter
from miner.cli import app
from miner.core.errors import Refused
from miner.core.layout import CHANGES, REPORT, RUN
from miner.core.store import Store
from miner.report import write_report
from miner.report.show import chain, find, measured, overlay
from shards.validate import validate
from tests.miner.finished import finished

FAST_ROWS = 100_000


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished OUT; the tests change copies of it."""
    folder = tmp_path_factory.mktemp("refilter") / "out"
    finished(folder)
    return folder


@pytest.fixture
def store(made: Path, tmp_path: Path) -> Store:
    """A copy of it."""
    return Store(shutil.copytree(made, tmp_path / "out"))


def no_report(store: Store) -> None:
    """The report has tests of its own."""


def shards(store: Store) -> dict[str, str]:
    folder = Path(store.url) / "shards"
    return {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in folder.iterdir()}


def kept(store: Store) -> set[tuple[str, str]]:
    return {
        (r["sample_id"], r["concept"])
        for name in store.names("ledger/candidates")
        for r in store.read_table(name).to_pylist()
        if r["keep"]
    }


def test_other_thresholds_there_and_back(store):
    before, bytes_before = kept(store), shards(store)
    strict = refilter(store.url, ["filters.at_least={ks_rim: 0.7}"], no_report)
    assert kept(store) < before
    assert strict.lost == len(before) - len(kept(store))
    assert strict.gained == 0
    assert strict.settings == ("filters.at_least.ks_rim: 0.4 -> 0.7",)
    assert store.read_json(CHANGES)["lost"] == strict.lost
    assert store.read_json(RUN)["config"]["filters"]["at_least"] == {"ks_rim": 0.7}
    back = refilter(store.url, ["filters.at_least={ks_rim: 0.4}"], no_report)
    assert back.gained == strict.lost
    assert kept(store) == before
    assert shards(store) == bytes_before  # the card and its order of tars among them


def test_the_order_in_which_a_file_lists_the_splits_changes_no_byte(store):
    refilter(store.url, ["shards.splits={train: 0.5, test: 0.5}"], no_report)
    before = shards(store)
    assert {"test-000000.tar", "train-000000.tar"} <= before.keys()
    refilter(store.url, ["shards.splits={test: 0.5, train: 0.5}"], no_report)
    assert shards(store) == before


def test_the_report_shows_what_changed(store):
    write_report(store)
    assert "last refilter" not in store.read(REPORT).decode()
    refilter(store.url, ["filters.at_least={ks_rim: 0.7}"], write_report)
    page = store.read(REPORT).decode()
    assert "What the last refilter changed" in page
    assert "filters.at_least.ks_rim: 0.4 -&gt; 0.7" in page


def test_precision_replaces_fdr(store):
    refilter(store.url, ["filters.fdr=0.3"], no_report)
    refilter(store.url, ["filters.precision=0.5"], no_report)
    filters = store.read_json(RUN)["config"]["filters"]
    assert (filters["precision"], filters["fdr"]) == (0.5, None)


def whole(store: Store) -> dict[str, bytes]:
    """Shards, ledger and run.json, byte by byte."""
    folder = Path(store.url)
    files = [RUN, *(p for f in ("shards", "ledger") for p in (folder / f).rglob("*.*"))]
    return {str(name): (folder / name).read_bytes() for name in files}


def test_a_refilter_that_is_cut_off_or_refused_leaves_everything_as_it_was(store, monkeypatch):
    before = whole(store)

    def killed(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr("miner.barrier.finish.publish", killed)
    with pytest.raises(KeyboardInterrupt):
        refilter(store.url, ["filters.at_least={ks_rim: 0.7}"], no_report)
    assert whole(store) == before
    assert validate(store).faults == []
    monkeypatch.undo()
    with pytest.raises(Refused, match=r"dedupe\.largest_share"):
        refilter(store.url, ["dedupe.largest_share=2"], no_report)
    table = next(Path(store.url).glob("units/*/candidates.parquet"))
    sound = table.read_bytes()
    table.write_bytes(sound[:-1] + b"X")
    with pytest.raises(Refused, match="changed since it was committed"):
        refilter(store.url, ["filters.at_least={ks_rim: 0.6}"], no_report)
    assert whole(store) == before
    table.write_bytes(sound)
    changes = refilter(store.url, ["filters.at_least={ks_rim: 0.7}"], no_report)
    assert changes.lost > 0
    assert store.names("barrier") == []


def test_a_unit_damaged_after_a_cut_changes_nothing_of_what_was_made_of_it(
    made, store, tmp_path, monkeypatch
):
    """The same refilter goes on with pieces of the sound unit; another reads it, and refuses."""
    change = "filters.at_least={ks_rim: 0.7}"
    uncut = Store(shutil.copytree(made, tmp_path / "uncut"))
    refilter(uncut.url, [change], no_report)

    def killed(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("miner.barrier.finish.publish", killed)
        with pytest.raises(KeyboardInterrupt):
            refilter(store.url, [change], no_report)
    table = next(Path(store.url).glob("units/*/candidates.parquet"))
    table.write_bytes(table.read_bytes()[:-1] + b"X")
    refilter(store.url, [change], no_report)
    assert shards(store) == shards(uncut)
    assert validate(store).faults == []
    with pytest.raises(Refused, match="changed since it was committed"):
        refilter(store.url, ["filters.at_least={ks_rim: 0.6}"], no_report)
    assert shards(store) == shards(uncut)


def test_only_tars_whose_members_changed_are_written(store):
    tars = sorted((Path(store.url) / "shards").glob("*.tar"))
    assert len(tars) > 1
    before = {tar.name: tar.stat().st_ino for tar in tars}
    refilter(store.url, ["sampling.caps=[{by: [corpus], max_samples: 1000}]"], no_report)
    assert {tar.name: tar.stat().st_ino for tar in tars} == before
    train = max(tars, key=lambda tar: tar.stat().st_size).name
    refilter(store.url, ["sampling.caps=[{by: [corpus], max_samples: 2}]"], no_report)
    left = {t.name: t.stat().st_ino for t in (Path(store.url) / "shards").glob("*.tar")}
    assert left[train] != before[train]
    assert validate(store).faults == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("filters.clip.seed=3", "changes scores"),
        ("segment.decoys=9", "changes scores"),
        ("filters.references=other.json", "changes scores"),
        ("filters.precison=0.9", "unknown setting; did you mean precision"),
        ("filters.precision=2", "less than 1"),
        ("filters.decision=/none.json", "is not there"),
    ],
)
def test_refused(store, change, message):
    with pytest.raises(Refused, match=message):
        refilter(store.url, [change], no_report)


def test_refused_without_a_run(tmp_path):
    with pytest.raises(Refused, match="not an output of miner run"):
        refilter(str(tmp_path), [], no_report)
    with pytest.raises(Refused, match="not an output of miner run"):
        find(Store(tmp_path), "x")


def test_what_changed():
    counted = [["x", True, None, False, "low_score", 1], ["x", False, "speck", True, None, 1]]
    before, after = {"written": 2}, {"written": 1, "excluded: protected:bench": 1}
    found = compare(counted, ["filters.precision: 0.9 -> 0.5"], before, after)
    assert found.rows == {"written": (2, 1), "excluded: protected:bench": (0, 1)}
    assert found.concepts == {"x": (1, 1)}
    assert found.reasons == {"speck": (1, 0), "low_score": (0, 1)}
    assert (found.gained, found.lost) == (1, 1)


def test_rows_that_are_left_out_now_are_told(store):
    cap = "sampling.caps=[{by: [corpus], max_samples: 1}]"
    done = CliRunner().invoke(app, ["refilter", store.url, "--set", cap])
    assert done.exit_code == 0, done.output
    rows = store.read_json(CHANGES)["rows"]
    capped = {name: n for name, n in rows.items() if name.startswith("excluded: cap:corpus=")}
    assert all(before == 0 for before, _ in capped.values())
    assert rows["written"][0] - rows["written"][1] == sum(after for _, after in capped.values()) > 0
    assert "excluded: cap:corpus=" in done.output


@pytest.mark.whole
def test_a_hundred_thousand_verdicts_in_seconds():
    rng = np.random.default_rng(0)
    n = FAST_ROWS
    columns = {name: pa.array(rng.uniform(0.1, 0.9, n)) for name in SCORES}
    concept = np.array(["nucleus", "gland", "stroma", "necrosis"])[rng.integers(4, size=n)]
    columns |= {
        "image_id": pa.array([f"q/{i // 4}" for i in range(n)]),
        "concept": pa.array(concept),
        "kind": pa.array(np.where(np.isin(concept, ["nucleus", "gland"]), "object", "stuff")),
        "segmenter": pa.array(["embedded"] * n),
        "roles": pa.array([["decoy"] if i % 9 == 0 else ["positive"] for i in range(n)]),
        "area_px": pa.array(rng.integers(20, 9999, n)),
        "confidence": pa.array(rng.uniform(size=n)),
        "reason": pa.nulls(n, pa.string()),
    }
    start = time.process_time()
    decide(pa.table(columns), FilterConfig(fdr=0.1))
    assert time.process_time() - start < 8


def test_show(store):
    key, concept = sorted(kept(store))[0]
    shown = find(store, key)
    assert shown.sample == find(store, shown.sample["image"]).sample
    names = [c["concept"] for c in shown.candidates]
    assert concept in names
    assert "necrosis" in names  # the decoy
    rows = dict(chain(shown.candidates[names.index(concept)], shown.limits))
    assert next(iter(rows)) == "verdict"  # what one asks for comes first
    assert rows["verdict"] == "kept"
    scores = dict(measured(shown.candidates[names.index(concept)]))
    assert float(scores["ks_rim"]) >= 0.4
    assert not scores.keys() & rows.keys()
    assert "probability that this mask is right" in rows["score"]
    assert rows["score"].endswith((" alone", "all concepts together", "family cell", "tissue"))
    assert "among all of this run that score at least as high" in rows["q-value"]
    decoy = dict(chain(shown.candidates[names.index("necrosis")], shown.limits))
    assert decoy["verdict"].startswith("dropped: decoy, ")
    sheet = np.asarray(Image.open(io.BytesIO(overlay(shown))))
    masks = sum(c["mask"] is not None for c in shown.candidates)
    assert sheet.shape[0] >= 384
    assert masks >= 2
    with pytest.raises(Refused, match="no such sample"):
        find(store, "nobody")


def test_commands(store, tmp_path):
    key, _ = sorted(kept(store))[0]
    png = tmp_path / "x.png"
    runner = CliRunner()
    done = runner.invoke(app, ["show", store.url, key, "--png", str(png)])
    assert done.exit_code == 0, done.output
    assert "verdict" in done.output
    assert "ks_rim" not in done.output
    more = runner.invoke(app, ["show", store.url, key, "--png", str(png), "--scores"])
    assert "ks_rim" in more.output
    assert png.stat().st_size > 1000
    empty = runner.invoke(app, ["show", store.url, "quilt-00000006-00ff00", "--png", str(png)])
    assert "No candidates" in empty.output
