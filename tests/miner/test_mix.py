"""`configs/mix.yaml` on generated corpora: captions, questions and annotations in one run."""

import json
import pickle
import tarfile
from collections import Counter

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from miner.cli import app
from miner.demo import corpora, render
from miner.demo.truth import Truth
from tests.miner.corpora.expert_sets import write_pannuke

WEIGHTS = {"quilt": 6, "vqa": 1, "pannuke": 3}
ORGANS = ("colon", "breast", "kidney", "lung", "skin", "liver")


def done(*arguments):
    result = CliRunner().invoke(app, [*map(str, arguments)])
    assert result.exit_code == 0, result.output
    return result.output


def write_questions(folder, pictures):
    """PathVQA's layout: of each picture whether nuclei and necrosis are there."""
    (folder / "qas" / "train").mkdir(parents=True)
    (folder / "images" / "train").mkdir(parents=True)
    records = []
    for i in range(pictures):
        tile = render.tile(100 + i, 256, 0.5, ORGANS[i], flaws=0)
        name = f"train_{i:04d}"
        cv2.imwrite(str(folder / "images" / "train" / f"{name}.jpg"), tile.image[..., ::-1])
        for asked, answer in (("Are nuclei present?", "yes"), ("Is keratin seen?", "no")):
            records.append({"image": name, "question": asked, "answer": answer})
    with open(folder / "qas" / "train" / "train_qa.pkl", "wb") as file:
        pickle.dump(records, file)
    return len(records)


def write_corpora(folder):
    """The three corpora of the mix; rows of each."""
    rng = np.random.default_rng(3)
    corpora.write_quilt(rng, folder, 16, Truth(folder), [])
    questions = write_questions(folder / "pathvqa", 3)
    write_pannuke(folder / "pannuke", tiles=5, side=96)
    pictures = [render.tile(200 + i, 96, 0.25, ORGANS[i], flaws=0).image for i in range(5)]
    images = folder / "pannuke" / "Fold 1" / "images" / "fold1" / "images.npy"
    np.save(images, np.stack(pictures).astype(float))
    return {"quilt": 16, "vqa": questions, "pannuke": 5}


@pytest.mark.whole
def test_the_worked_mix(tmp_path):
    rows = write_corpora(tmp_path / "corpora")
    out = tmp_path / "out"
    paths = [tmp_path / "corpora" / name for name in ("quilt", "pathvqa", "pannuke")]
    sets = [f"--set=corpora.{i}.path={path}" for i, path in enumerate(paths)]
    done("run", "mix.yaml", "--out", out, "--no-ray", *sets, "--set", "shards.splits={train: 1}")
    assert "0 faults" in done("validate", out)

    ledger = pq.read_table(out / "ledger" / "samples").to_pylist()
    assert Counter(row["corpus"] for row in ledger) == rows
    written = Counter(row["corpus"] for row in ledger if row["status"] == "written")
    # As many as the scarcest allows: the others lose to their shares, and say so.
    n = sum(written.values())
    assert n >= 6
    for name, weight in WEIGHTS.items():
        assert abs(written[name] - n * weight / 10) <= 1
    left_out = {r["reason"] for r in ledger if (r["reason"] or "").startswith("share:")}
    assert left_out
    assert left_out <= {f"share:corpus={name}" for name in WEIGHTS}

    samples = []
    for path in (out / "shards").glob("*.tar"):
        with tarfile.open(path) as tar:
            members = [m for m in tar if m.name.endswith(".json")]
            samples += [json.loads(tar.extractfile(m).read()) for m in members]
    assert {s["corpus"] for s in samples if s["generated"]} == {"pannuke"}
    assert {s["corpus"] for s in samples if s["turns"]} == {"vqa"}
    drawn = {(s["corpus"], r["segmenter"]) for s in samples for r in s["regions"]}
    assert ("pannuke", "expert") in drawn
    assert {"expert"} == {name for corpus, name in drawn if corpus == "pannuke"}
    assert "expert" not in {name for corpus, name in drawn if corpus != "pannuke"}

    card = (out / "shards" / "README.md").read_text()
    assert "CC BY-NC-SA 4.0" in card
    assert "have a caption that was generated" in card
    done("export", out, "--to", "llava", "--out", tmp_path / "talk", "--instruct", "default")
    assert any((tmp_path / "talk").glob("*.json"))
