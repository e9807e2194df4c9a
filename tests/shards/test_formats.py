"""Shards that were written before samples said what is known are read as before."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from miner.core.errors import Refused
from miner.core.layout import MANIFEST
from miner.core.store import Store
from shards import GroundedCaptions
from shards.export.run import samples
from shards.index import read_manifest
from shards.known import absent, completed, states, unsettled
from shards.pack import manifest_bytes
from shards.sample import check, dump
from shards.validate import validate
from tests.shards.build import build, format_1, sample
from tests.shards.mined import Mined


@pytest.fixture
def old(tmp_path: Path) -> Store:
    store = build(tmp_path / "out", n=4, val=1)
    format_1(store)
    return store


def test_old_shards_load_and_validate(old: Store) -> None:
    assert read_manifest(old)["format"] == 1
    assert validate(old).faults == []
    data = GroundedCaptions(old.url, "train")
    assert len(data) == 4
    assert "concepts" not in data[0]["sample"]
    assert data[0]["masks"].shape[0] == len(data[0]["sample"]["regions"])
    assert absent(data[0]["sample"]) == ["fat", "necrosis"]
    assert unsettled(data[0]["sample"], 0.9) == ["gland", "stroma"]


def test_an_old_sample_can_be_completed(old: Store) -> None:
    value = completed(GroundedCaptions(old.url, "train", decode=False)[0]["sample"])
    check(dump(value))
    assert {c["concept"]: (c["state"], c["why"]) for c in value["concepts"]} == {
        "gland": ("present", "region"), "stroma": ("present", "region"),
        "necrosis": ("absent", "negated"), "fat": ("absent", "decoy"),
    }  # fmt: skip
    assert {r["count_why"] for r in value["regions"]} == {"not_measured"}
    assert completed(sample(0)[0]) == sample(0)[0]


def test_new_shards_must_say_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = build(tmp_path / "out", n=2, val=1)
    format_1(store)
    manifest = json.loads(store.read(MANIFEST))
    store.write(MANIFEST, manifest_bytes({**manifest, "format": 2}))
    faults = [str(f) for f in validate(store).faults]
    assert len(faults) == 3
    assert "lacks concepts, ignored, slide, regions.0.count" in faults[0]


def test_a_later_format_is_refused(old: Store) -> None:
    manifest = json.loads(old.read(MANIFEST))
    old.write(MANIFEST, manifest_bytes({**manifest, "format": 3}))
    with pytest.raises(Refused, match=r"shards of format 3, this Histomine reads up to 2; update"):
        GroundedCaptions(old.url)


def test_states_that_contradict_the_regions_are_faults(tmp_path: Path) -> None:
    value, image, extension = sample(1)
    wrong = [{**c, "state": "absent"} if c["concept"] == "gland" else c for c in value["concepts"]]
    bad = {**value, "concepts": wrong}
    store = build(tmp_path / "out", val=0, samples=[(bad, image, extension)])
    (fault,) = validate(store).faults
    assert "the concepts that are present are not those of the regions" in fault.text
    assert states(bad)["gland"] == "absent"


@pytest.mark.whole
def test_a_run_says_what_is_known(mined: Mined) -> None:
    found = [s.value for s in samples(Store(str(mined.out)))]
    assert read_manifest(Store(str(mined.out)))["format"] == 2
    for value in found:
        known = {c["concept"]: c for c in value["concepts"]}
        assert known.keys() >= {m["concept"] for m in value["mentions"]}
        gone = {n["concept"] for n in value["negatives"] if n["why"] != "site"}
        assert gone == {c for c in known if known[c]["state"] == "absent"}
        for one in known.values():
            assert one["state"] != "present" or one["p"] is not None
            # Where nobody measured how often it is missed, the caption or the organ rules it out.
            assert one["state"] != "absent" or one["p"] is None or one["p"] < 0.2
        for region in value["regions"]:
            assert known[region["concept"]]["state"] == "present"
            assert (region["exhaustive"] is None) == bool(region["exhaustive_why"])
            assert (region["count"] is None) == bool(region["count_why"])
        for one in value["ignored"]:
            assert known[one["concept"]]["state"] == "unknown"
            assert one["reason"]
    assert any(value["ignored"] for value in found)
    assert any(r["count"] for value in found for r in value["regions"])
    assert any(r["exhaustive"] for value in found for r in value["regions"])


@pytest.mark.whole
def test_a_patch_knows_its_place_on_the_slide(mined: Mined) -> None:
    for one in samples(Store(str(mined.out))):
        place = one.value["slide"]
        if one.value["corpus"] != "pathgen":
            assert place is None
            continue
        assert f"{place['id']}_{place['x']}_{place['y']}" == one.value["image"]
        assert (place["level"], place["mpp"]) == (0, one.value["mpp"])
    assert any(one.value["slide"] for one in samples(Store(str(mined.out))))


def test_any_table_may_say_where_on_a_slide_a_picture_lies() -> None:
    meta = {"slide_id": "s7", "x": "512", "y": 1024.0, "level": 1}
    value, _, _ = sample(0, meta=json.dumps(meta))
    assert value["slide"] == {"id": "s7", "x": 512, "y": 1024, "level": 1, "mpp": None}
    assert sample(1, meta=json.dumps(meta))[0]["slide"]["mpp"] == 0.5  # a slide's, see `build`
    for lacking in ({"x": 1, "y": 2}, {"slide_id": "s", "x": 1.5, "y": 2}, {"slide_id": "s"}):
        assert sample(0, meta=json.dumps(lacking))[0]["slide"] is None
