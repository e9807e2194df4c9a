"""What consumers are told to be absent is confirmed; all else stays unknown."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from miner.core.masks import encode
from shards.export.folder import Sample
from shards.export.masks import boxes
from shards.export.options import Options
from shards.export.run import export
from shards.known import absent, checked, is_whole, unsettled
from tests.shards import consumers
from tests.shards.build import sample


@pytest.fixture
def one() -> Sample:
    """Glands and stroma are outlined; the caption denies necrosis and doubts mucin."""
    value, image, extension = sample(0)
    value = json.loads(json.dumps(value))
    caption = "Glands in stroma, no necrosis, no keratin, perhaps mucin, and a nerve."
    regions = {r["concept"]: i for i, r in enumerate(value["regions"])}
    value["caption"] = caption
    value["mentions"] = [
        said(caption, "Glands", "gland", "affirmed", [regions["gland"]]),
        said(caption, "stroma", "stroma", "affirmed", [regions["stroma"]]),
        said(caption, "necrosis", "necrosis", "negated"),
        said(caption, "keratin", "keratin", "negated"),
        said(caption, "mucin", "mucin", "uncertain"),
        said(caption, "nerve", "nerve", "affirmed"),
    ]
    value["negatives"] = [
        {"concept": "necrosis", "why": "negated", "start": 21, "end": 29},
        {"concept": "hepatocyte", "why": "site", "start": None, "end": None},
        {"concept": "bone", "why": "decoy", "start": None, "end": None},
    ]
    value["concepts"] = [
        {"concept": name, "state": state, "p": None, "why": "-"}
        for name, state in (
            ("gland", "present"), ("stroma", "present"), ("necrosis", "absent"), ("bone", "absent"),
            ("keratin", "unknown"), ("mucin", "unknown"), ("nerve", "unknown"),
            ("hepatocyte", "unknown"),
        )
    ]  # fmt: skip
    return Sample(value, image, extension, "train")


@pytest.mark.parametrize(
    ("decoy", "why", "site", "gone"),
    [
        ("bone", "decoy", None, True),
        ("crypt of lieberkuhn", "decoy", None, False),  # a gland, and glands are there
        ("crypt of lieberkuhn", "negated", None, True),  # the text itself denies it
        ("tubule", "decoy", "kidney", False),  # the kidney's are tubules
        ("hepatocyte", "decoy", "liver", False),
        ("hepatocyte", "decoy", "kidney", True),
    ],
)
def test_a_search_in_vain_denies_nothing_that_is_likely(
    one: Sample, decoy: str, why: str, site: str | None, gone: bool
) -> None:
    change = {
        "negatives": [{"concept": decoy, "why": why, "start": None, "end": None}],
        "concepts": [{"concept": decoy, "state": "absent", "p": 0.02, "why": why}],
        "facts": [{"kind": "site", "value": site, "start": None, "end": None}] if site else [],
    }
    assert absent({**one.value, **change}) == [decoy] * gone  # type: ignore[typeddict-item]


def said(caption: str, text: str, concept: str, polarity: str, regions: Any = ()) -> dict:
    start = caption.index(text)
    return {
        "start": start, "end": start + len(text), "text": text, "concept": concept,
        "kind": "stuff", "polarity": polarity, "sources": ["lexicon"], "groundable": True,
        "reason": None, "regions": list(regions),
    }  # fmt: skip


def test_only_the_confirmed_is_absent(one: Sample) -> None:
    # Denied and not confirmed, doubted, impossible at the site, or outlined: none of these.
    assert absent(one.value) == ["bone", "necrosis"]
    assert {c.text: c.region is None for c in checked(one.value)} == {
        "glands": False, "stroma": False, "necrosis": True, "bone": True,
    }  # fmt: skip


def test_what_may_have_more_is_said(one: Sample) -> None:
    assert unsettled(one.value, 0.9) == [
        "gland",
        "hepatocyte",
        "keratin",
        "mucin",
        "nerve",
        "stroma",
    ]
    gland = next(r for r in one.value["regions"] if r["concept"] == "gland")
    gland["exhaustive"] = 0.95
    assert "gland" not in unsettled(one.value, 0.9)


def test_sam3_asks_what_is_known_and_nothing_else(one: Sample, tmp_path: Path) -> None:
    export([one], "sam3", tmp_path / "x", Options())
    asked = {text: mask for _, text, mask in consumers.sam3(tmp_path / "x/train")}
    assert asked.keys() == {"glands", "stroma", "necrosis", "bone"}
    assert asked["necrosis"] is None
    assert asked["bone"] is None
    assert asked["glands"] is not None
    pairs = {
        text: (mask, whole)
        for _, text, mask, whole in consumers.saco(tmp_path / "x/train/saco.json")
    }
    assert pairs["necrosis"] == (None, True)
    assert pairs["glands"][1] is False  # more of them may be there


def test_the_loader_that_ships_asks_the_same(one: Sample, tmp_path: Path) -> None:
    export([one], "sam3", tmp_path / "x", Options())
    spec = importlib.util.spec_from_file_location("loader", tmp_path / "x/sam3_loader.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    loader = module.SacoTraining(str(tmp_path / "x/train/saco.json"))
    assert loader.getDatapointIds() == [0]
    (picture,) = loader.loadImagesFromDatapoint(0)
    assert (tmp_path / "x/train" / picture["file_name"]).exists()
    queries, annotations = loader.loadQueriesAndAnnotationsFromDatapoint(0)
    counts = {q["query_text"]: len(q["object_ids_output"]) for q in queries}
    gland = next(r for r in one.value["regions"] if r["concept"] == "gland")
    assert counts == {"glands": len(gland["instances"]), "stroma": 1, "necrosis": 0, "bone": 0}
    assert {q["query_text"]: q["is_exhaustive"] for q in queries}["necrosis"] is True
    for query in queries:
        for i in query["object_ids_output"]:
            assert annotations[i]["bbox"].max() <= 1


@pytest.mark.parametrize(("dialect", "stem"), [("coco", "instances"), ("lvis", "lvis")])
def test_coco_and_lvis_name_the_absent(
    one: Sample, tmp_path: Path, dialect: str, stem: str
) -> None:
    export([one], dialect, tmp_path / "x", Options())
    data = json.loads((tmp_path / f"x/annotations/{stem}_train.json").read_text())
    names = {c["id"]: c["name"] for c in data["categories"]}
    (picture,) = data["images"]
    assert {names[i] for i in picture["neg_category_ids"]} == {"necrosis", "bone"}
    open_ = {names[i] for i in picture["not_exhaustive_category_ids"]}
    assert open_ == {"gland", "stroma", "keratin", "mucin", "nerve", "hepatocyte"}
    annotated = {names[a["category_id"]] for a in data["annotations"]}
    assert annotated == {"gland", "stroma"}


def with_ignored(one: Sample) -> tuple[Sample, np.ndarray]:
    """The sample with a mask of mucin that did not stand up, which also covers some of a gland."""
    gland = next(r for r in one.value["regions"] if r["concept"] == "gland")
    mask = coco.decode(gland["instances"][0]).astype(bool)
    mask[:5, :7] = True
    rle = {"size": list(mask.shape), "counts": encode(mask)}
    row = {"concept": "mucin", "rle": rle, "reason": "low_score", "score": 0.2}
    return dataclasses.replace(one, value={**one.value, "ignored": [row]}), mask


def test_what_did_not_stand_up_is_a_crowd_for_coco(one: Sample, tmp_path: Path) -> None:
    held, mask = with_ignored(one)
    export([held], "coco", tmp_path / "x", Options())
    api = COCO(str(tmp_path / "x/annotations/instances_train.json"))
    (crowd,) = api.loadAnns(api.getAnnIds(iscrowd=True))
    assert (api.annToMask(crowd) == mask).all()
    assert api.loadCats(crowd["category_id"])[0]["name"] == "mucin"
    assert (crowd["ignore"], crowd["area"]) == (1, int(mask.sum()))
    # By COCO's own evaluation what is found there is neither right nor wrong.
    box = crowd["bbox"]
    found = {"image_id": 1, "category_id": crowd["category_id"], "score": 0.9, "bbox": box}
    judge = COCOeval(api, api.loadRes([{**found, "segmentation": crowd["segmentation"]}]), "segm")
    judge.evaluate()
    ignored = [
        e["dtIgnore"] for e in judge.evalImgs if e and e["category_id"] == crowd["category_id"]
    ]
    assert ignored
    assert all(one.all() for one in ignored)


def test_what_did_not_stand_up_is_a_hole_for_lisa(one: Sample, tmp_path: Path) -> None:
    held, mask = with_ignored(one)
    done = export([held], "reasonseg", tmp_path / "x", Options())
    assert any("create_reasonseg_hf" in note for note in done.notes)
    folder = tmp_path / "x/reason_seg/ReasonSeg/train"
    for number, region in enumerate(held.value["regions"]):
        entry = json.loads((folder / f"{held.key}-{number}.json").read_text())
        seen = consumers.reasonseg_mask(entry, mask.shape)
        target = coco.decode(region["rle"]).astype(bool)
        np.testing.assert_array_equal(seen == 1, target)
        np.testing.assert_array_equal(seen == 255, mask & ~target)


def test_other_dialects_say_that_they_lose_it(one: Sample, tmp_path: Path) -> None:
    held, _ = with_ignored(one)
    for dialect, lost in (("granDf", True), ("lvis", False), ("coco", False)):
        export([held], dialect, tmp_path / dialect, Options())
        rows = map(json.loads, (tmp_path / dialect / "LOSSES.jsonl").read_text().splitlines())
        assert any("nothing should be learned" in row["why"] for row in rows) == lost


def test_points_that_count_are_told_of_what_is_all_there(one: Sample, tmp_path: Path) -> None:
    from datasets import load_from_disk

    def told(place: str, **options: float) -> dict[str, int]:
        export([one], "molmo", tmp_path / place, Options(**options))
        (row,) = load_from_disk(str(tmp_path / place / "points-pointing"))["train"]
        return dict(zip(row["label"], row["count"], strict=True))

    gland = next(r for r in one.value["regions"] if r["concept"] == "gland")
    gland["count"] = None
    assert told("a") == {"necrosis": 0, "bone": 0}
    said = [json.loads(line) for line in (tmp_path / "a/LOSSES.jsonl").read_text().splitlines()]
    assert {x["phrase"] for x in said if x["done"] == "dropped"} == {"Glands", "stroma"}

    n = len(gland["instances"])
    assert told("b", certain=0.0) == {"glands": n, "necrosis": 0, "bone": 0}
    gland["count"] = {"low": n, "n": n, "high": n}
    assert told("c") == {"glands": n, "necrosis": 0, "bone": 0}


def test_all_is_all_from_the_set_precision_on() -> None:
    region: Any = {"exhaustive": 0.9}
    assert is_whole(region, 0.9)
    assert not is_whole(region, 0.91)
    assert not is_whole({**region, "exhaustive": None}, 0.01)


def test_as_many_boxes_as_may_be_are_given() -> None:
    mask = np.zeros((8, 8), bool)
    mask[2:4, 2:4] = True
    one = {"size": [8, 8], "counts": encode(mask)}
    region: Any = {"instances": [one, one], "bbox": [2, 2, 4, 4], "rle": one}
    assert boxes(region, 2) == [[2, 2, 4, 4]] * 2
    assert boxes(region, 1) == []
