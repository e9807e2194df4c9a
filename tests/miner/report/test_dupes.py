"""Dropped pictures beside those that stay."""

import dataclasses

import numpy as np
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from filters.dedupe.thumbnail import pixel_hash, thumbnail
from miner.barrier.finish import finish
from miner.cli import app
from miner.commits import commit, marks
from miner.core.errors import Refused
from miner.core.layout import RUN
from miner.core.pixels import decode
from miner.core.store import Store
from miner.demo import stains
from miner.report.dupes import PAGE, _captions, pairs
from tests.miner.finished import configuration, unit


def with_thumbnails(made):
    """What the embedding stage adds."""
    shown = [None if d is None else decode(d) for d in made.images["data"].to_pylist()]
    thumbs = [None if s is None else thumbnail(s).tobytes() for s in shown]
    hashes = [None if s is None else pixel_hash(s) for s in shown]
    columns = {"thumbnail": pa.array(thumbs, pa.binary(4096)), "pixel_hash": pa.array(hashes)}
    return made.with_columns("images", columns)


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """Two corpora of which the second has a mirrored copy of a picture of the first."""
    store, config = Store(tmp_path_factory.mktemp("dupes") / "out"), configuration()
    rng = np.random.default_rng(0)
    first, second = (unit(rng, corpus) for corpus in ("quilt", "pathcap"))
    data = second.images["data"].to_pylist()
    mirrored = decode(first.images["data"][0].as_py())[:, ::-1]
    data[1] = stains.encode_jpeg(np.ascontiguousarray(mirrored), 60)
    second = second.with_columns("images", {"data": pa.array(data, pa.large_binary())})
    for corpus, made in (("quilt", first), ("pathcap", second)):
        commit(store, f"{corpus}-000000", with_thumbnails(made))
    store.write_json(RUN, {"config": config.model_dump(mode="json"), "hash": "", "seed": 0})
    finish(store, config, marks(store))
    return store


def test_every_dropped_row_says_who_stays_why_and_how_alike(out):
    rows = [
        row
        for name in out.names("ledger/samples")
        for row in out.read_table(name).to_pylist()
        if row["status"] == "duplicate" or row["duplicate_of"] or row["similarity"]
    ]
    assert {row["reason"] for row in rows} == {"near"}
    assert all(row["similarity"] > 0.6 for row in rows)
    assert {row["duplicate_of"] for row in rows} <= {"quilt/0.jpg", "pathcap/1.jpg"}
    assert rows


def test_pairs_are_listed_shown_and_named(out, tmp_path):
    (pair,) = pairs(out)
    assert {pair.dropped, pair.keeper} == {"quilt/0.jpg", "pathcap/1.jpg"}
    done = CliRunner().invoke(app, ["dupes", out.url])
    assert done.exit_code == 0
    assert f"{pair.dropped} for {pair.keeper}" in done.stdout
    page = out.read(PAGE).decode()
    assert page.count("<img") == 2
    assert "Here are &lt;b&gt;" in page
    corpus, image = pair.dropped.split("/")
    key = f"{corpus}-{int(image.split('.')[0]):08d}-00ff00"
    shown = CliRunner().invoke(app, ["show", out.url, key, "--png", str(tmp_path / "x.png")])
    assert f"{pair.keeper} stays for it, similarity {pair.similarity:.3f}" in shown.stdout


@pytest.mark.parametrize("wrong", ["length", "nan"])
def test_an_embedding_of_another_model_or_without_sense_is_named(tmp_path, wrong):
    store = Store(tmp_path)
    made = unit(np.random.default_rng(0), "quilt")
    vectors = made.images["embedding"].to_pylist()
    vectors[2] = vectors[2][:-1] if wrong == "length" else [float("nan"), *vectors[2][1:]]
    column = pa.array(vectors, pa.list_(pa.float32()))
    commit(store, "quilt-000000", made.with_columns("images", {"embedding": column}))
    with pytest.raises(Refused, match=r"dedupe\.model: the embedding of quilt/2\.jpg has"):
        finish(store, configuration(), marks(store))


def test_without_thumbnails_bytes_and_vectors_are_compared(tmp_path):
    """An OUT of an earlier version."""
    store = Store(tmp_path)
    made = unit(np.random.default_rng(0), "quilt")
    images = made.images.set_column(
        made.images.column_names.index("sha256"), "sha256", pa.array(["same"] * len(made.images))
    )
    commit(store, "quilt-000000", dataclasses.replace(made, images=images))
    finish(store, configuration(), marks(store))
    rows = store.read_table("ledger/samples/quilt-000000.parquet").to_pylist()
    accepted = [row for row in rows if row["status"] in ("written", "duplicate")]
    (stays,) = (row for row in accepted if row["status"] == "written")
    copies = [row for row in accepted if row is not stays]
    assert copies
    for row in copies:
        assert (row["reason"], row["similarity"]) == ("exact", 1.0)
        assert row["duplicate_of"] == f"quilt/{stays['image']}"


def test_rows_without_a_caption_say_nothing_of_a_picture(tmp_path):
    store, made = Store(tmp_path), unit(np.random.default_rng(0), "quilt")
    said = ["", None, *made.samples["caption"].to_pylist()[2:]]
    commit(store, "quilt-000000", made.with_columns("samples", {"caption": pa.array(said)}))
    found = _captions(store, {"quilt/0.jpg", "quilt/1.jpg", "quilt/2.jpg"})
    assert found == {"quilt/0.jpg": [], "quilt/1.jpg": [], "quilt/2.jpg": [said[2]]}
