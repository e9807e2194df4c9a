"""Annotated sets and texts in turns, as published, through a whole run: every row accounted for."""

import itertools
import json
import tarfile

import pyarrow.parquet as pq
import pytest
import yaml
from typer.testing import CliRunner

from miner.cli import app
from tests.miner.corpora import expert_sets
from tests.miner.corpora.layouts import write_images, write_json

SETS = (
    "pannuke", "lizard", "consep", "monuseg", "monusac", "nucls", "panoptils", "segpath", "bcss",
    "glas", "tnbc",
)  # fmt: skip


def done(*arguments):
    result = CliRunner().invoke(app, [*map(str, arguments)])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.whole
def test_every_source_is_mined_and_every_row_accounted_for(tmp_path, monkeypatch):
    seeds, noise = itertools.count(), expert_sets.tissue
    # Other noise in each picture: equal pixels are duplicates.
    monkeypatch.setattr(expert_sets, "tissue", lambda h, w, seed=0: noise(h, w, next(seeds)))
    for kind in SETS:
        getattr(expert_sets, f"write_{kind}")(tmp_path / kind)
    expert_sets.write_plain(tmp_path / "expert")
    write_images(tmp_path / "talks" / "images", ["a.jpg"])
    turns = [{"from": "human", "value": "Are there glands?"}, {"from": "gpt", "value": "Yes"}]
    records = [{"image": name, "conversations": turns} for name in ("a.jpg", "a.jpg", "gone.jpg")]
    write_json(tmp_path / "talks" / "talks.json", records)
    corpora = [{"kind": kind, "path": str(tmp_path / kind)} for kind in (*SETS, "expert")]
    corpora.append({"kind": "conversations", "path": str(tmp_path / "talks")})
    config = {
        "corpora": corpora,
        "segment": {"segmenters": [{"kind": "expert"}]},
        "filters": {"clip": None},
        # Noise is alike, wherever it is from.
        "dedupe": {"semantic": False, "near": False},
        "shards": {"splits": {"train": 1.0}},
        "runner": {"isolation": False},
    }
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(config))
    out = tmp_path / "out"
    done("run", tmp_path / "c.yaml", "--out", out, "--no-ray")
    ledger = pq.read_table(out / "ledger" / "samples").to_pylist()
    states = {(r["corpus"], r["image"]): (r["status"], r["reason"]) for r in ledger}
    assert len(ledger) == 3 + len(SETS) - 1 + 2 + 3
    # Nobody outlined glands in the pictures that are talked about.
    assert states.pop(("conversations", "a.jpg")) == ("no_mask", "unannotated")
    assert states.pop(("conversations", "gone.jpg")) == ("unreadable", "missing_image")
    assert set(states.values()) == {("written", None)}
    assert "0 faults" in done("validate", out)
    samples = []
    for path in (out / "shards").glob("*.tar"):
        with tarfile.open(path) as tar:
            members = [m for m in tar if m.name.endswith(".json")]
            samples += [json.loads(tar.extractfile(m).read()) for m in members]
    assert {r["segmenter"] for s in samples for r in s["regions"]} == {"expert"}
    published = {s["image"] for s in samples if not s["generated"]}
    assert published <= {"a"}
    assert {s["corpus"] for s in samples} == {*SETS, "expert"}
    done("evaluate", out, "--masks", tmp_path / "tnbc", "--json", tmp_path / "figures.json")
    figures = json.loads((tmp_path / "figures.json").read_text())["corpora"]
    # What experts outlined is what experts outlined; other corpora have other pictures.
    assert (figures["tnbc"]["judged"], figures["tnbc"]["iou"]) == (1, 1.0)
    assert figures["consep"]["judged"] == 0
    card = json.dumps((out / "shards" / "README.md").read_text())
    assert "CC BY-NC-SA 4.0" in card
