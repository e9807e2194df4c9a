"""Captions that name nothing, with a sentence of what others' masks show: marked as such."""

import json

import numpy as np
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from miner.barrier.finish import finish
from miner.barrier.rewrite import rewritten
from miner.barrier.verdicts import row_states
from miner.cli import app
from miner.commits import commit, marks
from miner.core.layout import RUN
from miner.core.store import Store
from miner.core.unit import Unit
from miner.load_config import check_config
from shards import GroundedCaptions
from shards.validate import validate
from tests.miner.finished import unit


def sample(*mentions, reason="no_mention", status="no_entity", turns=None):
    named = [{"concept": c, "polarity": p, "groundable": p == "affirmed"} for c, p in mentions]
    row = {"image_id": "q/i", "mentions": named, "status": status, "reason": reason}
    return {**row, "turns": turns}


def candidate(concept, keep=True, roles=("positive",), **more):
    row = {"image_id": "q/i", "concept": concept, "keep": keep, "roles": list(roles)}
    return {**row, "reason": None, "score": 0.9, "area_px": 9, **more}


def kept(row, *candidates):
    (state,) = row_states([row], candidates, keep_negatives=False, rewrite=True)
    return state.status, [candidates[i]["concept"] for i in state.kept]


def test_only_what_was_asked_for_and_kept_is_added():
    candidates = [
        candidate("gland"),
        candidate("stroma", keep=False),
        candidate("necrosis", roles=["negated"]),
        candidate("mucin", roles=["decoy"]),
    ]
    assert kept(sample(), *candidates) == ("written", ["gland"])
    (state,) = row_states([sample()], candidates, keep_negatives=False)
    assert (state.status, state.kept) == ("no_entity", ())


@pytest.mark.parametrize(
    "row",
    [
        sample(reason="question"),
        sample(reason="empty_caption"),
        sample(reason="no_text"),
        sample(turns=[{"role": "human", "text": "Well?"}]),
        sample(status="unreadable", reason="missing_image"),
        sample(status="excluded", reason="caption_too_long"),
    ],
)
def test_other_rows_stay_as_they_are(row):
    assert kept(row, candidate("gland")) == (row["status"], [])


def test_nothing_contradicts_what_was_published():
    """Neither what is denied or doubted, nor a kind, part or whole of it."""
    row = sample(("inflammatory cell", "negated"), ("mucin", "uncertain"), reason="only_negated")
    found = kept(row, candidate("lymphocyte"), candidate("mucin"), candidate("gland"))
    assert found == ("written", ["gland"])
    assert kept(row, candidate("lymphocyte"))[0] == "no_entity"


def shown(concept, n, kind="object"):
    return {"concept": concept, "kind": kind, "instances": ["x"] * n}


def test_the_sentence_stands_behind_the_published_text():
    row = {"caption": "Biopsy of a child ", "mentions": None, "status": "no_entity"}
    whole = rewritten(row, [shown("gland", 1), shown("lymphocyte", 4), shown("stroma", 0, "stuff")])
    assert whole["caption"] == (
        "Biopsy of a child. The picture shows a gland, lymphocytes and stroma."
    )
    assert whole["caption"][: whole["generated_from"]] == "Biopsy of a child"
    for m in whole["mentions"]:
        assert whole["caption"][m["start"] : m["end"]] == m["text"]
        assert m["start"] >= whole["generated_from"]
    assert [m["text"] for m in whole["mentions"]] == ["gland", "lymphocytes", "stroma"]
    alone = rewritten({**row, "caption": "Why?"}, [shown("acinus", 1)])
    assert alone["caption"] == "Why? The picture shows an acinus."


@pytest.fixture
def store(tmp_path):
    """A run of seven captions, and one more of the first picture, which names nothing."""
    store = Store(tmp_path / "out")
    made = unit(np.random.default_rng(0), "quilt")
    rows = made.samples.to_pylist()
    silent = {
        **rows[0], "sample_id": "quilt-00000007-00ff00", "row": 7, "status": "no_entity",
        "reason": "no_mention", "mentions": [], "caption": "A nice case",
    }  # fmt: skip
    samples = pa.Table.from_pylist([*rows, silent], made.samples.schema)
    commit(store, "quilt-000000", Unit(samples, made.images, made.candidates), run="r")
    return store


def finished(store, **shards):
    read = {"corpora": [{"kind": "quilt", "path": "q"}], "shards": shards}
    read["filters"] = {"at_least": {"ks_rim": 0.4}}
    config = check_config(read, "test")
    run = {"config": config.model_dump(mode="json"), "hash": config.digest(), "seed": 0, "run": "r"}
    store.write_json(RUN, {**run, "rows": {"quilt": 8}, "versions": {"python": "3.11"}})
    finish(store, config, marks(store))
    samples = GroundedCaptions(store.url)
    return {
        one["sample"]["row"]: one["sample"] for one in map(samples.__getitem__, range(len(samples)))
    }


def test_a_run_says_what_of_it_was_generated(store, tmp_path):
    assert 7 not in finished(store)
    found = finished(store, rewrite=True)
    first, silent = found[0], found[7]
    assert silent["caption"].startswith("A nice case. The picture shows ")
    assert (silent["generated"], silent["generated_from"]) == (True, len("A nice case"))
    assert (first["generated"], first["generated_from"]) == (False, None)
    assert silent["regions"]
    assert {r["rle"]["counts"] for r in silent["regions"]} <= {
        r["rle"]["counts"] for r in first["regions"]
    }
    assert not validate(store).faults
    card = store.read("shards/README.md").decode()
    assert f"1 of the samples ({1 / len(found):.1%}; quilt 1) have a caption" in card
    (ledger,) = (store.read_table(name).to_pylist() for name in store.names("ledger/samples"))
    assert {r["row"] for r in ledger if "rewritten" in r["notes"]} == {7}

    def exported(name, *more):
        arguments = ["export", store.url, "--to", "llava", "--out", str(tmp_path / name), *more]
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, result.output
        return result.output, tmp_path / name

    said, folder = exported("all")
    assert "GENERATED.jsonl" in said
    (line,) = (folder / "GENERATED.jsonl").read_text().splitlines()
    assert json.loads(line) == {"key": silent["key"], "generated_from": len("A nice case")}
    said, folder = exported("published", "--published")
    assert not (folder / "GENERATED.jsonl").exists()
    assert not any(silent["key"] in f.read_text() for f in folder.glob("*.json*"))
