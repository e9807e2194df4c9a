"""A run with a protected set and with copies between groups: reasons, certificate, splits."""

import hashlib
import json

import numpy as np
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from filters.layout import describe
from filters.splits import split_of
from miner.barrier import protect
from miner.barrier.finish import digest, finish, is_finished
from miner.cli import app
from miner.commits import commit, marks
from miner.core.errors import Refused
from miner.core.layout import LEAKS, RUN
from miner.core.pixels import decode
from miner.core.store import Store
from miner.demo import render, stains
from miner.load_config import check_config
from tests.miner.finished import configuration, unit
from tests.miner.report.test_dupes import with_thumbnails


def config(*sets):
    value = configuration().model_dump(mode="json")
    return check_config({**value, "protect": list(sets)}, "test")


def made(seed=0):
    rng = np.random.default_rng(seed)
    return {corpus: embedded(unit(rng, corpus)) for corpus in ("quilt", "pathcap")}


def embedded(one):
    """What the embedding stage adds: what is protected is embedded by the run's model."""
    data = one.images["data"].to_pylist()
    vectors = [None if d is None else describe(decode(d)) for d in data]
    hashes = [None if d is None else hashlib.sha256(d).hexdigest() for d in data]
    columns = {"embedding": pa.array(vectors, pa.list_(pa.float32())), "sha256": pa.array(hashes)}
    return with_thumbnails(one).with_columns("images", columns)


def mined(folder, settings, units):
    store = Store(folder)
    for corpus, one in units.items():
        commit(store, f"{corpus}-000000", one)
    store.write_json(RUN, {"config": settings.model_dump(mode="json"), "hash": "", "seed": 0})
    protect.prepare(store, settings)
    finish(store, settings, marks(store))
    return store


def ledger(store):
    return {
        (row["corpus"], row["row"]): row
        for name in store.names("ledger/samples")
        for row in store.read_table(name).to_pylist()
    }


@pytest.fixture(scope="module")
def units():
    return made()


@pytest.fixture
def test_set(units, tmp_path):
    """A test set that has one picture of the run mirrored, and another that it has not."""
    place = tmp_path / "benchmark"
    place.mkdir()
    leaked = decode(units["quilt"].images["data"][1].as_py())[:, ::-1]
    foreign = render.tile(np.random.default_rng(99), 160, 0.5, flaws=0.0).image
    (place / "1.jpg").write_bytes(stains.encode_jpeg(np.ascontiguousarray(leaked), 80))
    (place / "2.jpg").write_bytes(stains.encode_jpeg(foreign, 80))
    return place


def test_what_is_like_a_protected_picture_is_left_out_and_certified(units, test_set, tmp_path):
    settings = config({"name": "bench", "path": str(test_set)})
    store = mined(tmp_path / "out", settings, units)
    plain = ledger(mined(tmp_path / "plain", config(), units))
    rows = ledger(store)
    changed = {key for key in rows if rows[key]["status"] != plain[key]["status"]}
    assert changed == {("quilt", 1)}
    assert (rows["quilt", 1]["status"], rows["quilt", 1]["reason"]) == (
        "excluded",
        "protected:bench",
    )
    assert rows["quilt", 1]["split"] is None
    leaks = store.read_json(LEAKS)
    (one,) = leaks["sets"]
    assert (leaks["excluded"], one["pictures"], one["found"]["near"]) == (1, 2, 1)
    assert one["control"]["planted"] == one["control"]["found"] > 0
    card = store.read("shards/README.md").decode()
    assert "| bench | 2 | 0 | 1 | 0 | 0 |" in card
    assert str(test_set) not in json.dumps(leaks) + card
    assert "compared with none" in Store(tmp_path / "plain").read("shards/README.md").decode()


def changed(data, how):
    """Bytes of a picture, as they are or changed and encoded again."""
    if how == "as it is":
        return data
    picture = decode(data)
    side = len(picture)
    shown = {
        "turned": np.rot90(picture),
        "cropped": picture[: int(0.9 * side), int(0.1 * side) :],
        "mirrored": picture[:, ::-1],
    }[how]
    return stains.encode_jpeg(np.ascontiguousarray(shown), 70)


@pytest.mark.whole
def test_every_planted_leak_and_overlap_is_accounted_for(units, tmp_path):
    plain = ledger(mined(tmp_path / "plain", config(), units))
    free = {
        corpus: [row for (of, row), told in sorted(plain.items()) if (of, told["status"]) == key]
        for corpus in units
        for key in [(corpus, "written")]
    }
    copies = dict(zip(free["pathcap"], free["quilt"], strict=False))
    copies = dict(list(copies.items())[:3])
    data = {corpus: one.images["data"].to_pylist() for corpus, one in units.items()}
    for how, (copy, of) in zip(("as it is", "turned", "mirrored"), copies.items(), strict=True):
        data["pathcap"][copy] = changed(data["quilt"][of], how)
    leaked = [("quilt", row) for row in free["quilt"] if row not in copies.values()]
    leaked += [("pathcap", row) for row in free["pathcap"] if row not in copies]
    assert len(leaked) >= 3
    place = tmp_path / "benchmark"
    place.mkdir()
    for number, (corpus, row) in enumerate(leaked):
        how = ("as it is", "cropped", "turned", "mirrored")[number % 4]
        (place / f"{corpus}{row}.jpg").write_bytes(changed(data[corpus][row], how))
    shown = {
        corpus: embedded(one.with_columns("images", {"data": pa.array(d, pa.large_binary())}))
        for (corpus, one), d in zip(units.items(), data.values(), strict=True)
    }
    store = mined(tmp_path / "out", config({"name": "bench", "path": str(place)}), shown)

    (certified,) = store.read_json(LEAKS)["sets"]
    assert {(pair["image_id"], pair["like"]) for pair in certified["pairs"]} == {
        (f"{corpus}/{row}.jpg", f"{corpus}{row}.jpg") for corpus, row in leaked
    }
    rows = ledger(store)
    excluded = {key for key, row in rows.items() if row["status"] == "excluded"}
    assert excluded == set(leaked)
    assert {rows[key]["reason"] for key in leaked} == {"protected:bench"}
    dropped = {key: row for key, row in rows.items() if row["status"] == "duplicate"}
    assert {
        frozenset((f"{corpus}/{row}.jpg", told["duplicate_of"]))
        for (corpus, row), told in dropped.items()
    } == {frozenset((f"pathcap/{a}.jpg", f"quilt/{b}.jpg")) for a, b in copies.items()}
    assert {told["reason"] for told in dropped.values()} == {"exact", "near"}
    assert all(told["similarity"] >= 0.6 for told in dropped.values())
    rest = rows.keys() - dropped.keys() - set(leaked)
    assert {key: rows[key]["status"] for key in rest} == {key: plain[key]["status"] for key in rest}


def test_another_content_of_the_set_makes_the_output_anew(units, test_set, tmp_path):
    settings = config({"name": "bench", "path": str(test_set)})
    store = mined(tmp_path / "out", settings, units)
    assert is_finished(store, settings, marks(store))
    before = digest(store, settings, marks(store))
    (test_set / "2.jpg").unlink()
    protect.prepare(store, settings)
    assert digest(store, settings, marks(store)) != before
    assert not is_finished(store, settings, marks(store))


def test_a_file_of_fingerprints_guards_as_its_folder_does(units, test_set, tmp_path):
    file = tmp_path / "bench.parquet"
    done = CliRunner().invoke(app, ["protect", "build", str(test_set), "--out", str(file)])
    assert done.exit_code == 0, done.output
    by_file = mined(tmp_path / "a", config({"name": "bench", "path": str(file)}), units)
    by_folder = mined(tmp_path / "b", config({"name": "bench", "path": str(test_set)}), units)
    for name in (
        LEAKS,
        "shards/README.md",
        "shards/manifest.json",
        "ledger/samples/quilt-000000.parquet",
    ):
        assert by_file.read(name) == by_folder.read(name)


def test_patients_of_the_set_are_left_out(units, tmp_path):
    groups = units["pathcap"].samples["group"].to_pylist()
    groups[0] = groups[1] = "TCGA-A1-B2C3"
    moved = units["pathcap"].with_columns("samples", {"group": pa.array(groups, pa.string())})
    place = tmp_path / "set"
    place.mkdir()
    foreign = render.tile(np.random.default_rng(98), 160, 0.5, flaws=0.0).image
    (place / "TCGA-A1-B2C3-01Z.jpg").write_bytes(stains.encode_jpeg(foreign, 80))
    settings = config({"name": "bench", "path": str(place)})
    rows = ledger(mined(tmp_path / "out", settings, {**units, "pathcap": moved}))
    for row in (0, 1):
        assert rows["pathcap", row]["reason"] in ("protected:bench", None) or (
            rows["pathcap", row]["status"] not in ("written", "duplicate")
        )
        assert rows["pathcap", row]["status"] != "written"


def test_a_missed_control_writes_nothing(units, test_set, tmp_path, monkeypatch):
    monkeypatch.setattr(protect, "control", lambda prints, threshold: (12, 11))
    settings = config({"name": "bench", "path": str(test_set)})
    with pytest.raises(Refused, match="bench: of 12 planted copies only 11 were found"):
        mined(tmp_path / "out", settings, units)
    assert not Store(tmp_path / "out").names("shards")


def test_embeddings_of_another_model_are_refused(tmp_path):
    np.save(tmp_path / "v.npy", np.ones((2, 8), np.float32))
    settings = config({"name": "bench", "path": str(tmp_path / "v.npy"), "model": "dino"})
    with pytest.raises(Refused, match=r"protect\.0\.path: .*embeddings are of dino"):
        protect.prepare(Store(tmp_path / "out"), settings)


def test_two_sets_of_one_name_are_refused():
    with pytest.raises(Refused, match="distinct names"):
        config({"name": "a", "path": "x"}, {"name": "a", "path": "y"})


SHARES = {"train": 0.5, "test": 0.5}


def by_hash(group):
    return split_of(group, SHARES, 0)


TRAIN, TEST = (
    [g for g in map(str, range(40)) if by_hash(g) == split] for split in ("train", "test")
)


def test_copies_across_groups_do_not_straddle_splits(units, tmp_path):
    """The mirrored copy of a picture, in a group whose hash says another split."""
    shares = {"shards": {"splits": SHARES}}
    settings = check_config({**configuration().model_dump(mode="json"), **shares}, "test")
    rows = units["quilt"].samples["group"].to_pylist()
    rows[0], others = TRAIN[0], units["pathcap"].samples["group"].to_pylist()
    others[0] = others[1] = TEST[0]
    data = units["pathcap"].images["data"].to_pylist()
    data[0] = units["quilt"].images["data"][0].as_py()
    images = {"data": pa.array(data, pa.large_binary())}
    shown = {
        "quilt": units["quilt"].with_columns("samples", {"group": pa.array(rows)}),
        "pathcap": with_thumbnails(
            units["pathcap"]
            .with_columns("samples", {"group": pa.array(others)})
            .with_columns("images", images)
        ),
    }
    found = ledger(mined(tmp_path / "out", settings, shown))
    statuses = {found[key]["status"] for key in (("quilt", 0), ("pathcap", 0))}
    assert "duplicate" in statuses
    written = [r for r in found.values() if r["group"] in (TRAIN[0], TEST[0]) and r["split"]]
    assert {row["split"] for row in written} == {"train"}  # where the first corpus places it
