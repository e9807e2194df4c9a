"""`miner.open(OUT)` says what the files of OUT say."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import miner
from miner.core.errors import Refused
from miner.core.masks import decode
from shards import GroundedCaptions
from tests.miner.finished import ROWS, finished


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return finished(tmp_path_factory.mktemp("finished"))


@pytest.fixture(scope="module")
def run(store):
    return miner.open(store.url)


@pytest.mark.parametrize("name", ["samples", "candidates"])
def test_a_ledger_is_all_of_its_files(run, store, name):
    files = sorted(p for p in store.names(f"ledger/{name}", ".parquet"))
    rows = [row for file in files for row in pq.read_table(store.path(file)).to_pylist()]
    assert len(files) == 2
    assert getattr(run, name)().to_pylist() == rows


def test_some_columns_of_a_ledger(run):
    assert run.samples(["status", "key"]).column_names == ["status", "key"]
    assert run.samples(("status",)).num_rows == 2 * ROWS


def test_regions_are_those_of_the_shard_with_masks(run, store):
    keys = run.samples()["key"].drop_null().to_pylist()
    assert keys
    for item in GroundedCaptions(store.url):
        keys.remove(item["key"])
        regions = run.regions(item["key"])
        assert [{k: v for k, v in r.items() if k != "mask"} for r in regions] == item["sample"][
            "regions"
        ]
        for region in regions:
            mask = decode(region["rle"]["counts"], *region["rle"]["size"])
            assert region["mask"].dtype == bool
            np.testing.assert_array_equal(region["mask"], mask)
    assert not keys


def test_a_drawing_shows_outlines_on_the_picture(run):
    key = run.samples()["key"].drop_null()[0].as_py()
    drawn = run.drawn(key)
    assert drawn.dtype == np.uint8
    assert drawn.shape[2] == 3
    assert (drawn == (0, 214, 143)).all(axis=2).any()  # the first colour of outlines


def test_the_funnel_ends_at_what_was_written(run):
    steps = run.funnel()
    statuses = run.samples()["status"].to_pylist()
    assert steps[0] == ("caption rows", len(statuses))
    assert steps[-1] == ("written", statuses.count("written"))
    assert [n for _, n in steps] == sorted((n for _, n in steps), reverse=True)


def test_refilter_changes_what_is_read_afterwards(tmp_path):
    run = miner.open(finished(tmp_path).url)
    key = run.samples()["key"].drop_null()[0].as_py()
    assert run.regions(key)
    kept = run.candidates()["keep"].to_pylist().count(True)
    changes = run.refilter("filters.at_least={confidence: 2}")
    assert (changes.gained, changes.lost) == (0, kept)
    assert not any(run.candidates()["keep"].to_pylist())
    with pytest.raises(Refused, match=rf"^{key}: no written sample of that key"):
        run.regions(key)


def test_no_run_no_end_and_no_sample_are_one_line(run, store, tmp_path):
    with pytest.raises(Refused, match="no such folder"):
        miner.open(tmp_path / "nowhere")
    unfinished = tmp_path / "unfinished"
    unfinished.mkdir()
    (unfinished / "run.json").write_text(json.dumps({}))
    with pytest.raises(Refused, match="has not finished"):
        miner.open(unfinished)
    with pytest.raises(Refused, match=r"^k: no written sample of that key"):
        run.drawn("k")


def test_what_is_public_is_there_and_typed():
    import filters
    import ner
    import segmenters
    import shards

    for package in (miner, ner, shards):
        assert all(hasattr(package, name) for name in package.__all__)
    for package in (miner, ner, segmenters, filters, shards):
        (folder,) = package.__path__
        assert Path(folder, "py.typed").exists()
