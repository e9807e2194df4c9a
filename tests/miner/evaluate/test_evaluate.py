import json

import cv2
import numpy as np
import pytest

from miner.commits import commit, forget
from miner.core.errors import Refused
from miner.core.names import map_concept, map_name
from miner.core.store import Store
from miner.evaluate.compare import _captions, evaluate
from shards.build import grounded_sample
from shards.config import ShardsConfig
from shards.pack import pack, write_manifest
from tests.miner.finished import unit
from tests.shards.build import candidate, config, mention

MASK = np.zeros((8, 10), bool)
MASK[2:6, 2:6] = True


def region(concept, mask, instances=()):
    return candidate(
        concept, "object" if len(instances) else "stuff", list(instances) or [mask], score=0.9
    )


def sample(key, corpus, image, *regions, group="g", organ="colon"):
    """A sample to pack whose caption names its regions."""
    caption = ", ".join(r["concept"] for r in regions)
    row = {
        "sample_id": key, "corpus": corpus, "row": 0, "image": image, "group": group,
        "caption": caption, "strata": [{"dimension": "organ", "value": organ}],
        "mentions": [mention(caption, r["concept"], r["concept"], r["kind"]) for r in regions],
    }  # fmt: skip
    return grounded_sample(row, {"height": 8, "width": 10}, regions, "train", []), b"-", "png"


def shards(store, *samples):
    infos = pack(samples, store, "train", ShardsConfig())
    write_manifest(store, infos, config().digest())


@pytest.fixture
def out(tmp_path):
    store = Store(tmp_path / "out")
    here = [region(c, MASK) for c in ("nucleus", "gland", "stroma")]
    shards(
        store,
        sample("k0", "quilt", "-a.b.jpg", *here),
        sample("k1", "quilt", "-a.b.jpg", *here[:1]),  # a second caption of the picture
        sample("k2", "pathgen", "w.x_1_2", region("gland", MASK), group="h", organ="lung"),
    )
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
    assert found["all"]["mined"] == 4  # the nuclei, which two captions name, once
    assert found["corpora"]["pathgen"]["precision"] == 0
    organs = found["strata"]["organ"]
    assert (organs["colon"]["judged"], organs["lung"]["judged"]) == (2, 1)
    assert found["all"]["groups"] == 2
    at = {row["at"]: row for row in found["thresholds"]["iou"]}
    assert (at[0.5]["precision"], at[0.75]["precision"]) == (0.6667, 0.3333)
    assert found["thresholds"]["score"][-1] == {
        "at": 0.95, "judged": 0, "precision": None, "recall": None,
    }  # fmt: skip


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
    here = [region(c, MASK) for c in ("gland", "fat")]
    shards(out, sample("k", corpus, image, *here))
    (masks / corpus / folder).mkdir(parents=True)
    cv2.imwrite(str(masks / corpus / folder / "gland.png"), MASK.astype(np.uint8))
    mention = {"concept": "fat", "present": False}
    row = {"corpus": corpus, "image": image, "mentions": [mention]}
    (masks / "gold.jsonl").write_text(json.dumps(row) + "\n")
    found = evaluate(out, masks)["concepts"]
    assert (found["gland"]["mined"], found["gland"]["judged"]) == (1, 1)
    assert found["fat"]["precision"] == 0


def test_a_folder_without_label_maps_is_refused(out, tmp_path):
    with pytest.raises(Refused, match="entity"):
        evaluate(out, tmp_path / "nothing")


def test_a_label_map_judges_one_picture_where_several_have_its_name(tmp_path):
    store, masks = Store(tmp_path / "out"), tmp_path / "masks"
    here = region("gland", MASK)
    images = ("A/tile.png", "B/tile.jpg", "C/other.png")
    shards(store, *(sample(f"k{i}", "pairs", image, here) for i, image in enumerate(images)))

    def judges(*folders):
        for name in folders:
            (masks / "pairs" / name).mkdir(parents=True)
            cv2.imwrite(str(masks / "pairs" / name / "gland.png"), MASK.astype(np.uint8))
        return evaluate(store, masks)

    found = judges("tile", "other")
    assert (found["all"]["mined"], found["all"]["judged"]) == (3, 1)
    assert "such as pairs/tile: give them the picture's whole name" in found["left_out"][0]
    found = judges("A/tile", "D/other")  # of the second there is no picture
    assert found["all"]["judged"] == 2
    assert "1 of 4 folders" in found["left_out"][0]
    assert judges("B/tile")["all"]["judged"] == 3


def test_a_gold_speaks_of_one_picture_where_several_have_its_name(tmp_path):
    store, masks = Store(tmp_path / "out"), tmp_path / "masks"
    here = region("fat", MASK)
    shards(store, *(sample(f"k{i}", "p", f"{i}/tile.png", here) for i in range(2)))
    (masks / "p/0/tile").mkdir(parents=True)
    cv2.imwrite(str(masks / "p/0/tile/gland.png"), MASK.astype(np.uint8))
    for image, judged in (("tile.png", 0), ("1/tile.png", 1)):
        row = {"corpus": "p", "image": image, "mentions": [{"concept": "fat", "present": False}]}
        (masks / "gold.jsonl").write_text(json.dumps(row))
        assert evaluate(store, masks)["all"]["judged"] == judged


@pytest.mark.parametrize("name", ["quilt/-a.b.jpg", "one/too/high", "another/-a.b"])
def test_masks_of_no_picture_of_the_run_are_refused(out, tmp_path, name):
    (tmp_path / "odd" / name).mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "odd" / name / "gland.png"), MASK.astype(np.uint8))
    with pytest.raises(Refused, match=f"it has {name}, the first picture .* pathgen/w.x_1_2"):
        evaluate(out, tmp_path / "odd")


def test_a_mask_is_judged_as_what_was_asked_for_where_experts_know_no_other(out, masks):
    borrowed = {**region("prostatic gland", MASK), "asked_as": "gland"}
    own = {**region("nucleus", MASK), "asked_as": "gland"}
    shards(out, sample("k0", "quilt", "-a.b.jpg", borrowed, own))
    found = evaluate(out, masks)
    assert found["concepts"]["prostatic gland"]["iou"] == 0.5  # of half of the gland
    assert found["concepts"]["nucleus"]["iou"] == 1
    assert found["judged_as"] == [["prostatic gland", "gland", 1]]


def test_names_of_label_maps():
    names = ["nuclei", "stromal_nuclei", "red_blood_cell"]
    said = ["nucleus", "stromal nucleus", "red blood cell"]
    assert [map_name(c) for c in said] == names
    assert [map_concept(n) for n in names] == said


def test_a_label_map_of_another_size_is_refused(out, masks):
    cv2.imwrite(str(masks / "quilt/-a.b/nuclei.png"), np.ones((4, 4), np.uint8))
    with pytest.raises(Refused, match=r"nucleus in quilt/-a.b.jpg is of \(4, 4\)"):
        evaluate(out, masks)


@pytest.mark.parametrize("line", ["no json", '{"corpus": "quilt"}', "[]"])
def test_a_gold_that_is_none_is_refused(out, masks, line):
    (masks / "gold.jsonl").write_text(line + "\n")
    with pytest.raises(Refused, match=r"gold.jsonl:1"):
        evaluate(out, masks)


def test_captions_are_those_of_the_units_where_there_are_any(tmp_path):
    store, made = Store(tmp_path), unit(np.random.default_rng(0), "quilt")
    commit(store, "quilt-000000", made)
    shards(store, sample("k0", "quilt", "0.jpg", region("gland", MASK)))
    captions = made.samples["caption"].to_pylist()
    assert [row["caption"] for row in _captions(store)] == captions
    forget(store, "quilt-000000")
    assert [row["caption"] for row in _captions(store)] == ["gland"]
