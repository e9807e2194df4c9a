"""Equal captions of different pictures, and captions of copies that ride along."""

import json

import numpy as np
import pyarrow as pa
import pytest
import webdataset

from filters.dedupe import levels
from filters.dedupe.captions import said, same_caption
from miner.barrier import captions
from miner.core.errors import Refused
from miner.load_config import check_config
from shards import GroundedCaptions
from shards.validate import validate
from tests.miner.barrier.test_protect import changed, embedded, ledger, made, mined
from tests.miner.finished import configuration


def settings(**sections):
    value = configuration().model_dump(mode="json")
    changed = {name: {**value[name], **section} for name, section in sections.items()}
    return check_config({**value, **changed}, "test")


def test_case_marks_and_white_space_do_not_count():
    assert said("Colon,  H&E: Goblet cells.") == said("colon h&e\u00a0goblet CELLS")
    assert said("\ufb01brosis") == said("fibrosis")  # a ligature
    assert said("goblet cells") != said("cells goblet")
    assert said(None) is said(" .,") is None


def test_the_best_grounded_row_of_a_caption_stands_for_those_of_other_pictures():
    words = np.array([7, 7, 7, 8, 7])
    picture = np.array([2, 0, 1, 1, 0])
    ranks = np.array([[-1.0, -0.9], [-2.0, -0.5], [-1.0, -0.9], [0.0, 0.0], [-1.0, -0.2]])
    assert same_caption(words, picture, ranks).tolist() == [1, 1, 1, 3, 4]
    ties = np.zeros((5, 2))
    assert same_caption(words, picture, ties)[[0, 2]].tolist() == [1, 1]


@pytest.fixture(scope="module")
def units():
    return made()


@pytest.fixture(scope="module")
def plain(units, tmp_path_factory):
    return mined(tmp_path_factory.mktemp("plain") / "out", settings(), units)


def written(store):
    return [key for key, row in sorted(ledger(store).items()) if row["status"] == "written"]


def recaptioned(units, corpus, row, caption):
    """A caption with more words behind those that mentions point to."""
    texts = units[corpus].samples["caption"].to_pylist()
    texts[row] = caption
    return {**units, corpus: units[corpus].with_columns("samples", {"caption": pa.array(texts)})}


def test_of_rows_with_one_caption_the_best_grounded_stays(units, plain, tmp_path):
    one = next(key for key in written(plain) if key[0] == "quilt")
    other = next(key for key in written(plain) if key[0] == "pathcap")
    caption = units["quilt"].samples["caption"][one[1]].as_py()
    spaced = units["pathcap"].samples["caption"][other[1]].as_py() + "  "
    for corpus, row, text in ((*one, caption + " same"), (*other, spaced + "SAME")):
        units = recaptioned(units, corpus, row, text)
    texts = {key: units[key[0]].samples["caption"][key[1]].as_py() for key in (one, other)}
    equal = said(texts[one]) == said(texts[other])
    if not equal:  # other structures are named: one text for both, whose spans need not fit
        units = recaptioned(units, *one, texts[other].upper())
    store = mined(tmp_path / "out", settings(dedupe={"caption": True}), units)
    rows = ledger(store)
    gone = {key for key in (one, other) if rows[key]["status"] == "duplicate"}
    assert len(gone) == 1
    (key,) = gone
    (stays,) = {one, other} - gone
    assert rows[key]["reason"] == "caption"
    assert rows[key]["duplicate_of"] == f"{stays[0]}/{stays[1]}.jpg"
    assert rows[stays]["status"] == "written"
    off = ledger(mined(tmp_path / "off", settings(), units))
    assert {off[key]["status"] for key in (one, other)} == {"written"}


def test_a_caption_of_too_many_pictures_stops_the_step(units, plain, tmp_path, monkeypatch):
    monkeypatch.setattr(captions, "FEW", 1)
    for key in written(plain):
        units = recaptioned(units, *key, "Figure 1.")
    with pytest.raises(Refused, match=r"largest_share: .* rows would be dropped as their caption"):
        mined(tmp_path / "out", settings(dedupe={"caption": True}), units)
    assert levels.FEW == 100


@pytest.fixture
def copied(units, plain):
    """Units in which the second corpus has a mirrored copy; the rows of both."""
    one = next(key for key in written(plain) if key[0] == "quilt")
    other = next(key for key in written(plain) if key[0] == "pathcap")
    data = units["pathcap"].images["data"].to_pylist()
    data[other[1]] = changed(units["quilt"].images["data"][one[1]].as_py(), "mirrored")
    images = {"data": pa.array(data, pa.large_binary())}
    units = {**units, "pathcap": embedded(units["pathcap"].with_columns("images", images))}
    for corpus, row in (one, other):
        text = units[corpus].samples["caption"][row].as_py()
        units = recaptioned(units, corpus, row, f"{text} From {corpus}.")
    return units, one, other


def samples(store):
    found = {}
    for name in store.names("shards", suffix=".tar"):
        for item in webdataset.WebDataset(store.path(name), shardshuffle=False):
            sample = json.loads(item["json"])
            found[sample["corpus"], sample["row"]] = sample
    return found


def test_captions_of_dropped_copies_ride_along(copied, tmp_path):
    units, one, other = copied
    store = mined(tmp_path / "out", settings(shards={"also_captions": True}), units)
    rows = ledger(store)
    (gone,) = {key for key in (one, other) if rows[key]["status"] == "duplicate"}
    (stays,) = {one, other} - {gone}
    found = samples(store)
    assert found[stays]["also_captions"] == [
        {
            "sample_id": rows[gone]["sample_id"],
            "caption": units[gone[0]].samples["caption"][gone[1]].as_py(),
        }
    ]
    assert {key for key, sample in found.items() if sample["also_captions"]} == {stays}
    assert [fault for fault in validate(store).faults if fault.place != "run"] == []
    data = GroundedCaptions(store.url)
    shown = {data[i]["sample"]["key"]: data[i]["sample"] for i in range(len(data))}
    assert shown[found[stays]["key"]]["also_captions"] == found[stays]["also_captions"]


def test_without_the_setting_samples_have_no_such_field(copied, tmp_path):
    store = mined(tmp_path / "out", settings(), copied[0])
    assert not any("also_captions" in sample for sample in samples(store).values())


@pytest.mark.parametrize("why", ["licence", "composed"])
def test_captions_under_another_licence_and_composed_ones_stay_behind(copied, tmp_path, why):
    units, one, other = copied
    for corpus in ("quilt", "pathcap"):
        n = len(units[corpus].samples)
        column = (
            {"license": pa.array([corpus] * n)}
            if why == "licence"
            else {"generated_from": pa.array([0] * n, pa.int32())}
        )
        units = {**units, corpus: units[corpus].with_columns("samples", column)}
    store = mined(tmp_path / "out", settings(shards={"also_captions": True}), units)
    assert "duplicate" in {ledger(store)[key]["status"] for key in (one, other)}
    assert not any(sample["also_captions"] for sample in samples(store).values())
