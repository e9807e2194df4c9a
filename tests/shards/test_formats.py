"""Shards that were written before samples said what is known are read as before."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from miner.core.errors import Refused
from miner.core.layout import MANIFEST
from miner.core.store import Store
from shards import GroundedCaptions
from shards.index import read_manifest
from shards.known import absent, completed, states, unsettled
from shards.pack import manifest_bytes
from shards.sample import check, dump
from shards.validate import validate
from tests.shards.build import build, format_1, sample


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
