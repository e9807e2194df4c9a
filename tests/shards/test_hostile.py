"""A data set from somebody else: whatever it calls its parts, nothing is written outside."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

import shards.pack
from miner.core.errors import Refused
from miner.core.store import Store
from shards import GroundedCaptions
from shards.check import sound_rle
from shards.config import ShardsConfig
from shards.export.options import read_options
from shards.export.run import dialect, export, samples
from shards.pack import manifest_bytes, pack, write_manifest
from shards.validate import validate
from tests.shards.build import build, sample

DIALECTS = ("granDf", "coco", "kosmos2", "ms-swift")


def crafted(folder: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[..., Any]) -> Store:
    """An OUT of two samples, the second of which packing would refuse; all hashes fit."""
    monkeypatch.setattr(shards.pack, "_check", lambda *_: None)
    value, data, extension = copy.deepcopy(sample(1))
    hostile = change(value) or extension
    store = Store(folder)
    infos = pack([sample(0), (value, data, hostile)], store, "train", ShardsConfig())
    write_manifest(store, infos)
    return store


def refused(store: Store, out: Path) -> str:
    """What every reader says; nothing lies beside the exports afterwards."""
    said = set()
    before = _files(out.parent)
    for to in DIALECTS:
        with pytest.raises(Refused) as error:
            export(samples(store), to, out / to, read_options(dialect(to), ()))
        said.add(str(error.value))
    with pytest.raises(Refused) as error:
        list(GroundedCaptions(store.url, decode=False))
    said.add(str(error.value))
    assert _files(out.parent) == before
    assert validate(store).faults
    (line,) = said
    assert "\n" not in line
    return line


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


IN_SAMPLES = {
    "a key that leads out": (lambda s: s.update(key="../../evil"), "key: not what packing allows"),
    "a key from the root": (lambda s: s.update(key="/tmp/evil"), "key: not what packing allows"),
    "a key with a line feed": (lambda s: s.update(key="evil\n"), "key: not what packing allows"),
    "a format that leads out": (lambda s: "jpg/../../../evil", "format: not what packing allows"),
    "a split that leads out": (lambda s: s.update(split="../evil"), "split '../evil'"),
    "a side file that leads out": (lambda s: s.update(members=["../evil"]), "members: a name"),
    "a field too many": (lambda s: s.update(evil=1), "evil: Extra inputs"),
    "a region that is not there": (lambda s: s["mentions"][0].update(regions=[7]), "region [7]"),
    "a region before the first": (lambda s: s["mentions"][0].update(regions=[-1]), "region [-1]"),
    "a mask as large as memory": (
        lambda s: s.update(width=1 << 20, height=1 << 20), "more than can be decoded"
    ),
    "run lengths cut off": (
        lambda s: s["regions"][0]["rle"].update(counts=s["regions"][0]["rle"]["counts"][:-2]),
        "do not add up",
    ),
    "an instance longer than the picture": (
        lambda s: s["regions"][0]["instances"][0].update(counts="PPPPPPYO9"), "do not add up"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", IN_SAMPLES)
def test_a_hostile_sample_is_refused_by_all_that_read(tmp_path, monkeypatch, name):
    change, said = IN_SAMPLES[name]
    store = crafted(tmp_path / "a/b/out", monkeypatch, change)
    assert said in refused(store, tmp_path / "a/b/exports")


IN_MANIFEST = {
    "a tar elsewhere": (lambda m: m["shards"][0].update(name="../evil-000000.tar"), "name"),
    "a split elsewhere": (lambda m: m["shards"][0].update(split="../evil"), "split"),
    "a split that is not the tar's": (lambda m: m["shards"][0].update(split="val"), "in split val"),
    "a hash that is a path": (lambda m: m["shards"][0].update(sha256="../../evil"), "sha256"),
    "a file elsewhere": (lambda m: m["files"].update({"../run.json": "0" * 64}), "files"),
    "a tar twice": (lambda m: m["shards"].append(m["shards"][0]), "twice"),
    "no list": (lambda m: m.update(shards={}), "shards: Input should be a valid list"),
    "a size that is text": (lambda m: m["shards"][0].update(bytes="1"), "bytes"),
}


@pytest.mark.parametrize("name", IN_MANIFEST)
def test_a_hostile_manifest_is_refused_by_all_that_read(tmp_path, name):
    change, said = IN_MANIFEST[name]
    store = build(tmp_path / "out", n=2, val=0)
    manifest = json.loads(store.read("shards/manifest.json"))
    change(manifest)
    store.write("shards/manifest.json", manifest_bytes(manifest))
    line = refused(store, tmp_path / "exports")
    assert line.startswith("shards/manifest.json: ")
    assert said in line


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("image_offset", -512, "image: lies outside"),
        ("json_size", 1 << 62, "json: lies outside"),
        ("key", None, "key: not what packing allows"),
        ("members", [{"name": "x", "offset": 1 << 62, "size": 9, "crc32": 0}], "members: one"),
        ("members", [{"name": "../x", "offset": 0, "size": 1, "crc32": 0}], "members: a name"),
    ],
)  # fmt: skip
def test_a_hostile_index_is_refused(tmp_path, monkeypatch, column, value, said):
    real = shards.pack._index_row
    monkeypatch.setattr(shards.pack, "_index_row", lambda *a: _Stubborn(real(*a), column, value))
    store = Store(tmp_path / "out")
    write_manifest(store, pack([sample(0)], store, "train", ShardsConfig()))
    with pytest.raises(Refused, match=said):
        GroundedCaptions(store.url)


class _Stubborn(dict):
    """An index row in which one column stays what it was set to."""

    def __init__(self, row: dict[str, Any], column: str, value: Any):
        super().__init__({**row, column: value})
        self.column = column

    def __setitem__(self, name: str, value: Any) -> None:
        if name != self.column:
            super().__setitem__(name, value)


def test_a_picture_of_another_size_is_not_decoded(tmp_path):
    value, _, _ = sample(0)
    huge = cv2.imencode(".png", np.zeros((4, 4, 3), np.uint8))[1].tobytes()
    huge = huge[:16] + (30_000).to_bytes(4, "big") * 2 + huge[24:]
    store = Store(tmp_path / "out")
    write_manifest(store, pack([(value, huge, "png")], store, "train", ShardsConfig()))
    with pytest.raises(Refused, match="of another size: 30000x30000 px"):
        GroundedCaptions(store.url)[0]


def test_what_packing_writes_passes_every_check(tmp_path):
    store = build(tmp_path / "out", n=12, val=2)
    table = pq.read_table(tmp_path / "out/shards/train-000000.parquet")
    assert table.num_rows > 0
    for one in samples(store):
        assert all(sound_rle(region["rle"]) for region in one.value["regions"])
    assert len(GroundedCaptions(store.url)) == 14


def test_a_split_is_a_part_of_a_name():
    for name in ("../x", ".x", "a/b", "", "x" * 65, "a b", "a\n"):
        with pytest.raises(ValueError, match="splits"):
            ShardsConfig(splits={name: 1.0})
    assert ShardsConfig(splits={"train-v1.2": 1.0}).splits
