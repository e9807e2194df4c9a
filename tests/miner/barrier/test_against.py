"""A corpus that is mined later, against finished runs: their pictures stay."""

import pyarrow as pa
import pytest

from miner.barrier import against
from miner.barrier.finish import digest, is_finished
from miner.barrier.refilter import refilter
from miner.commits import marks
from miner.core.errors import Refused
from miner.core.layout import FINISHED
from miner.core.store import Store
from miner.load_config import check_config
from shards.validate import validate
from tests.miner.barrier.test_protect import (
    SHARES,
    TEST,
    TRAIN,
    changed,
    embedded,
    ledger,
    made,
    mined,
)
from tests.miner.finished import configuration

HOW = ("as it is", "turned", "mirrored", "cropped")


def settings(*runs, **more):
    value = {**configuration().model_dump(mode="json"), **more}
    others = [{"name": name, "path": path} for name, path in runs]
    return check_config({**value, "dedupe": {**value["dedupe"], "against": others}}, "test")


@pytest.fixture(scope="module")
def units():
    return made()


@pytest.fixture(scope="module")
def first(units, tmp_path_factory):
    """A finished run of the first corpus."""
    folder = tmp_path_factory.mktemp("first") / "out"
    return mined(folder, settings(), {"quilt": units["quilt"]})


@pytest.fixture(scope="module")
def copies(units, first):
    """Written pictures of that run by the row of the second corpus that gets a copy."""
    theirs = [
        row for (_, row), told in sorted(ledger(first).items()) if told["status"] == "written"
    ]
    assert len(theirs) >= 3
    return dict(enumerate(theirs[: len(HOW)]))


@pytest.fixture(scope="module")
def second(units, copies):
    """The second corpus with these copies, changed in several ways."""
    data = units["pathcap"].images["data"].to_pylist()
    for how, (row, of) in zip(HOW, copies.items(), strict=False):
        data[row] = changed(units["quilt"].images["data"][of].as_py(), how)
    images = {"data": pa.array(data, pa.large_binary())}
    return embedded(units["pathcap"].with_columns("images", images))


def test_copies_of_what_a_finished_run_wrote_are_dropped_and_name_it(
    first, second, copies, tmp_path
):
    before = {name: first.read(name) for name in (FINISHED, "shards/manifest.json")}
    alone = ledger(mined(tmp_path / "alone", settings(), {"pathcap": second}))
    store = mined(tmp_path / "out", settings(("first", first.url)), {"pathcap": second})
    rows = ledger(store)
    wanted = {row for row in copies if alone["pathcap", row]["status"] == "written"}
    assert len(wanted) >= 2
    dropped = {row for (_, row), told in rows.items() if told["status"] == "duplicate"}
    assert dropped == wanted
    for row in dropped:
        told = rows["pathcap", row]
        assert told["duplicate_of"] == f"first:quilt/{copies[row]}.jpg"
        assert told["reason"] == ("exact" if HOW[row] == "as it is" else "near")
    rest = rows.keys() - {("pathcap", row) for row in dropped}
    assert {key: rows[key]["status"] for key in rest} == {key: alone[key]["status"] for key in rest}
    assert [fault for fault in validate(store).faults if fault.place != "run"] == []
    assert {name: first.read(name) for name in before} == before


def test_a_picture_that_the_finished_run_did_not_write_stands_for_nothing(
    first, second, copies, units, tmp_path
):
    left_out = mined(tmp_path / "capped", settings(), {"quilt": units["quilt"]})
    refilter(left_out.url, ["sampling.caps=[{by: [corpus], max_samples: 1}]"], lambda store: None)
    (kept,) = [row for (_, row), told in ledger(left_out).items() if told["status"] == "written"]
    store = mined(tmp_path / "out", settings(("capped", left_out.url)), {"pathcap": second})
    dropped = {row for (_, row), told in ledger(store).items() if told["status"] == "duplicate"}
    assert dropped <= {row for row, of in copies.items() if of == kept}


def test_the_group_of_a_copy_goes_where_the_finished_run_has_its_picture(
    second, units, copies, tmp_path
):
    """Its own hash says another split."""
    shares = {"shards": {"splits": SHARES}}
    groups = units["quilt"].samples["group"].to_pylist()
    groups[copies[0]] = TRAIN[0]
    quilt = units["quilt"].with_columns("samples", {"group": pa.array(groups)})
    earlier = mined(tmp_path / "earlier", settings(**shares), {"quilt": quilt})
    others = units["pathcap"].samples["group"].to_pylist()
    others[:] = [TEST[0]] * len(others)  # all of one group: one of its pictures is the copy
    pathcap = second.with_columns("samples", {"group": pa.array(others)})
    alone = mined(tmp_path / "alone", settings(**shares), {"pathcap": pathcap})
    assert {told["split"] for told in ledger(alone).values()} == {"test", None}
    one = [None] * len(pathcap.images)  # of the copies only the first
    one[0] = pathcap.images["data"][0].as_py()
    data = [a or b for a, b in zip(one, units["pathcap"].images["data"].to_pylist(), strict=True)]
    pathcap = embedded(pathcap.with_columns("images", {"data": pa.array(data, pa.large_binary())}))
    config = settings(("earlier", earlier.url), **shares)
    rows = ledger(mined(tmp_path / "out", config, {"pathcap": pathcap}))
    assert rows["pathcap", 0]["status"] == "duplicate"
    assert {told["split"] for told in rows.values()} == {"train", None}


def test_what_the_finished_run_becomes_makes_the_output_anew(first, second, units, tmp_path):
    other = mined(tmp_path / "other", settings(), {"quilt": units["quilt"]})
    config = settings(("other", other.url))
    store = mined(tmp_path / "out", config, {"pathcap": second})
    assert is_finished(store, config, marks(store))
    made_of = digest(store, config, marks(store))
    refilter(other.url, ["filters.at_least={ks_rim: 0.7}"], lambda store: None)
    assert digest(store, config, marks(store)) != made_of
    assert not is_finished(store, config, marks(store))


def test_a_run_that_cannot_be_compared_is_refused(first, tmp_path):
    with pytest.raises(Refused, match=r"dedupe\.against\.0\.path: .*: no finished run"):
        against.digest(settings(("gone", str(tmp_path / "nothing"))))
    config = settings(("first", first.url), seed=3)
    with pytest.raises(Refused, match="its seed is 0, that of this run 3"):
        against.digest(config)
    config = settings(("first", first.url), shards={"splits": SHARES})
    with pytest.raises(Refused, match=r"its shards\.splits is"):
        against.digest(config)
    with pytest.raises(Refused, match="distinct names"):
        settings(("a", "x"), ("a", "y"))


def test_a_ledger_that_is_not_that_of_the_units_is_refused(first, units, second, tmp_path):
    other = mined(tmp_path / "other", settings(), {"quilt": units["quilt"]})
    (name,) = other.names("ledger/samples")
    other.write_table(name, other.read_table(name).slice(1))
    with pytest.raises(Refused, match="not the ledger of the units beside it"):
        mined(tmp_path / "out", settings(("other", other.url)), {"pathcap": second})
    assert Store(tmp_path / "out").names("shards") == []
