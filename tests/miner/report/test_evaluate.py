import io
import json
import tarfile

import cv2
import numpy as np
import pytest

from miner.core.errors import Refused
from miner.core.masks import encode
from miner.core.store import Store
from miner.report.evaluate import entity, evaluate, wilson

MASK = np.zeros((8, 10), bool)
MASK[2:6, 2:6] = True


def region(concept, mask):
    return {"concept": concept, "rle": {"size": [8, 10], "counts": encode(mask)}, "score": 0.9}


@pytest.fixture
def out(tmp_path):
    samples = [
        {
            "corpus": "quilt",
            "image": "-a.b.jpg",
            "regions": [region("nucleus", MASK), region("gland", MASK), region("stroma", MASK)],
        },
        {"corpus": "pathgen", "image": "w.x_1_2", "regions": [region("gland", MASK)]},
    ]
    store = Store(tmp_path / "out")
    with store.writer("shards/train-000000.tar") as file, tarfile.open(fileobj=file, mode="w") as t:
        for i, sample in enumerate(samples):
            data = json.dumps(sample).encode()
            info = tarfile.TarInfo(f"k{i}.json")
            info.size = len(data)
            t.addfile(info, io.BytesIO(data))
    return store


@pytest.fixture
def masks(tmp_path):
    folder = tmp_path / "expert_masks"
    half = np.zeros((8, 10), np.uint8)
    half[2:6, 2:4] = 7
    other = np.zeros((8, 10), np.uint8)
    other[7, 9] = 1
    for name, labels in (
        ("quilt/-a.b/nuclei.png", MASK.astype(np.uint8)),
        ("quilt/-a.b/gland.png", half),
        ("pathgen/w.x_1_2/gland.png", other),
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / name), labels)
    return folder


def test_figures_per_concept(out, masks):
    found = evaluate(out, masks)
    assert found["concepts"]["nucleus"]["iou"] == 1
    gland = found["concepts"]["gland"]
    assert (gland["mined"], gland["judged"], gland["iou"], gland["precision"]) == (2, 2, 0.25, 0.5)
    assert found["concepts"]["stroma"]["judged"] == 0
    assert found["concepts"]["stroma"]["precision"] is None
    assert found["all"]["mined"] == 4


def test_a_concept_that_the_gold_calls_absent_counts_as_wrong(out, masks):
    mention = {"concept": "stroma", "present": False}
    row = {"corpus": "quilt", "image": "-a.b.jpg", "mentions": [mention]}
    (masks.parent / "gold.jsonl").write_text(json.dumps(row) + "\n")
    stroma = evaluate(out, masks)["concepts"]["stroma"]
    assert (stroma["judged"], stroma["precision"]) == (1, 0.0)


@pytest.mark.parametrize(
    ("corpus", "image", "folder"),
    [("pg", "w.x_1_2", "w.x_1_2"), ("ours", "TCGA.2f3e_1_2.jpg", "TCGA.2f3e_1_2")],
)
def test_corpora_are_called_as_one_likes(out, masks, corpus, image, folder):
    sample = {"corpus": corpus, "image": image, "regions": [region("gland", MASK)]}
    data = json.dumps({**sample, "regions": [region("gland", MASK), region("fat", MASK)]}).encode()
    with (
        out.writer("shards/train-000001.tar") as file,
        tarfile.open(fileobj=file, mode="w") as tar,
    ):
        info = tarfile.TarInfo("k.json")
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))
    (masks / corpus / folder).mkdir(parents=True)
    cv2.imwrite(str(masks / corpus / folder / "gland.png"), MASK.astype(np.uint8))
    mention = {"concept": "fat", "present": False}
    row = {"corpus": corpus, "image": image, "mentions": [mention]}
    (masks / "gold.jsonl").write_text(json.dumps(row) + "\n")
    found = evaluate(out, masks)["concepts"]
    assert (found["gland"]["mined"], found["gland"]["judged"]) == (3, 3)
    assert found["fat"]["precision"] == 0


def test_a_folder_without_label_maps_is_refused(out, tmp_path):
    with pytest.raises(Refused, match="entity"):
        evaluate(out, tmp_path / "nothing")


def test_wilson_interval_is_the_published_one():
    low, high = wilson(8, 10)  # Wilson (1927), e.g. Newcombe (1998), table I
    assert (round(low, 3), round(high, 3)) == (0.49, 0.943)
    assert wilson(0, 0) == (0.0, 1.0)


def test_names_of_label_maps():
    assert [entity(c) for c in ("nucleus", "red blood cell")] == ["nuclei", "red_blood_cell"]
