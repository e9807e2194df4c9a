"""Shards: deterministic bytes, offsets, refusal of what would break a reader."""

from __future__ import annotations

import hashlib
import json
import tarfile
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from miner.core.store import Store
from shards.build import grounded_sample
from shards.config import ShardsConfig
from shards.index import read_index, read_manifest
from shards.pack import pack, write_manifest
from shards.sample import check, dump
from shards.tar import header, scan
from tests.shards.build import build, candidate, mention, sample


def digests(out: Path) -> dict[str, str]:
    files = sorted(p for p in (out / "shards").iterdir())
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_same_bytes_anywhere(out: Path, tmp_path: Path) -> None:
    build(tmp_path / "other place")
    assert digests(out) == digests(tmp_path / "other place")


def test_nothing_names_a_place_or_a_day(out: Path) -> None:
    for path in (out / "shards").iterdir():
        data = path.read_bytes()
        assert str(out).encode() not in data
        assert b"/tmp/" not in data
    with tarfile.open(out / "shards/train-000000.tar") as tar:
        for member in tar:
            assert (member.mtime, member.uid, member.uname, member.pax_headers) == (0, 0, "", {})


@pytest.mark.parametrize(("name", "size"), [("a", 0), ("key.jpg", 123_456), ("x" * 100, 8**11 - 1)])
def test_header_is_the_standard_librarys(name: str, size: int) -> None:
    info = tarfile.TarInfo(name)
    info.size = size
    assert header(name, size) == info.tobuf(tarfile.USTAR_FORMAT, "ascii", "strict")


@pytest.mark.parametrize(("name", "size"), [("", 1), ("x" * 101, 1), ("a", 8**11), ("ü", 1)])
def test_header_refuses_what_needs_pax(name: str, size: int) -> None:
    with pytest.raises(ValueError, match=r"fit|ascii"):
        header(name, size)


def test_offsets_of_the_index_hit_the_members(out: Path) -> None:
    store = Store(str(out))
    index, shards = read_index(store, "train")
    assert len(shards) > 2
    for row in index.to_pylist():
        data = store.read(f"shards/{shards[row['shard']]['name']}")
        text = data[row["json_offset"] : row["json_offset"] + row["json_size"]]
        assert json.loads(text)["key"] == row["key"]
        start = data[row["image_offset"] :][:4]
        assert start[:2] == b"\xff\xd8" if row["format"] == "jpg" else start == b"\x89PNG"


def test_scan_finds_what_tarfile_finds(out: Path) -> None:
    path = out / "shards/train-000001.tar"
    with tarfile.open(path) as tar:
        expected = [(m.name, m.offset_data, m.size) for m in tar]
    assert list(scan(str(path))) == expected


def test_scan_of_a_cut_tar_raises(out: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.tar"
    path.write_bytes((out / "shards/train-000001.tar").read_bytes()[:-1024])
    with pytest.raises(ValueError, match="truncated"):
        list(scan(str(path)))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"key": "a.b"}, "letters"),
        ({"key": ""}, "letters"),
        ({"split": "val"}, "split"),
    ],
)
def test_bad_samples_are_refused(tmp_path: Path, change: dict, match: str) -> None:
    value, data, extension = sample(0)
    with pytest.raises(ValueError, match=match):
        pack([({**value, **change}, data, extension)], Store(tmp_path), "train", ShardsConfig())
    assert not list((tmp_path / "shards").iterdir())


@pytest.mark.parametrize(
    ("data", "extension", "sides"),
    [(b"", "jpg", {}), (b"x", "gif", {}), (b"x", "jpg", {"json": b"x"}), (b"x", "jpg", {"a": b""})],
)
def test_bad_members_are_refused(
    tmp_path: Path, data: bytes, extension: str, sides: dict[str, bytes]
) -> None:
    with pytest.raises(ValueError, match="key quilt"):
        pack([(sample(0)[0], data, extension, sides)], Store(tmp_path), "train", ShardsConfig())


def test_one_key_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="twice"):
        pack([sample(0), sample(0)], Store(tmp_path), "train", ShardsConfig())


def test_one_key_in_two_shards_is_refused(tmp_path: Path) -> None:
    store = Store(tmp_path)
    infos = pack([sample(0), sample(0)], store, "train", ShardsConfig(max_bytes=1))
    with pytest.raises(ValueError, match="two shards"):
        write_manifest(store, infos)
    assert not store.exists("shards/manifest.json")


def test_a_failing_source_leaves_whole_shards_only(tmp_path: Path) -> None:
    def failing():
        yield from (sample(i) for i in range(7))
        raise RuntimeError("gone")

    with pytest.raises(RuntimeError, match="gone"):
        pack(failing(), Store(tmp_path), "train", ShardsConfig(max_bytes=20_000))
    names = {p.name for p in (tmp_path / "shards").iterdir()}
    assert not any("tmp" in n for n in names)
    assert {n[:-4] for n in names if n.endswith(".tar")} == {
        n[:-8] for n in names if n.endswith(".parquet")
    }


def test_left_over_shards_go_and_the_manifest_signs_the_rest(tmp_path: Path) -> None:
    store = build(tmp_path, n=30)
    build(tmp_path, n=5)
    assert "shards/train-000009.tar" not in store.names("shards")
    assert read_manifest(store)["samples"] == 11


@pytest.mark.whole
def test_memory_is_flat(tmp_path: Path) -> None:
    value, data, extension = sample(0)

    def many(n: int):
        return (({**value, "key": f"k{i:08d}"}, data, extension) for i in range(n))

    def peak(n: int) -> int:
        tracemalloc.start()
        pack(many(n), Store(tmp_path / str(n)), "train", ShardsConfig(max_bytes=1_000_000))
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    peak(60)  # what is loaded or kept once
    top = peak(6000)
    written = sum(p.stat().st_size for p in (tmp_path / "6000/shards").glob("*.tar"))
    # Only the pieces that wait for the disk are held, up to eight, however many follow.
    assert written > 40_000_000
    assert top < written / 3


def test_side_files_ride_along(tmp_path: Path) -> None:
    value, data, extension = sample(0)
    sides = {"expression.npy": b"vector", "panel.json": b"{}"}
    value = {**value, "members": sorted(sides)}
    store = Store(tmp_path)
    write_manifest(store, pack([(value, data, extension, sides)], store, "train", ShardsConfig()))
    names = [n for n, _, _ in scan(str(tmp_path / "shards/train-000000.tar"))]
    key = value["key"]
    assert names == [f"{key}.{e}" for e in (extension, "json", "expression.npy", "panel.json")]


def test_sample_fits_its_schema_and_writes_floats_as_floats() -> None:
    caption = "Glands, no necrosis."
    row = {
        "sample_id": "quilt-00000001-abcdef",
        "corpus": "quilt",
        "row": 1,
        "image": "a.jpg",
        "group": "g",
        "license": "",
        "caption": caption,
        "mentions": [
            mention(caption, "Glands", "gland", "object"),
            mention(caption, "necrosis", "necrosis", "stuff", "negated"),
        ],
    }
    mask = np.eye(4, dtype=bool)
    image = {"width": 4, "height": 4, "mpp": 1, "mpp_source": "slide"}
    rows = [
        candidate("gland", "object", [mask], score=0.2, segmenter="weak"),
        candidate("gland", "object", [mask], score=1, ks_d=float("nan"), clip_margin=0),
        candidate("necrosis", "stuff", [mask]),
    ]
    value = grounded_sample(row, image, rows, "train", [])
    check(dump(value))
    assert [r["concept"] for r in value["regions"]] == ["gland"]
    assert [m["regions"] for m in value["mentions"]] == [[0], []]
    assert value["regions"][0]["segmenter"] == "stain"
    text = dump(value).decode()
    assert '"score":1.0' in text
    assert '"mpp":1.0' in text
    assert '"d":null' in text
    assert "turn" not in value["mentions"][0]


def test_scores_without_a_place_of_their_own_reach_the_sample() -> None:
    caption = "Glands."
    mentions = [mention(caption, "Glands", "gland", "object")]
    row = {"sample_id": "q-1-0a", "corpus": "q", "row": 1, "image": "x", "mentions": mentions}
    more = {"sharpness": 0.1234567, "judge_right": 1.0, "scale_mpp": None, "redness": float("inf")}
    told = candidate("gland", "object", [np.eye(4, dtype=bool)], ks_d=0.5, **more)
    image = {"width": 4, "height": 4, "mpp": None, "mpp_source": "none"}
    value = grounded_sample({**row, "caption": caption}, image, [told], "train", [])
    check(dump(value))
    assert value["regions"][0]["scores"] == [
        {"name": "judge_right", "value": 1.0},
        {"name": "sharpness", "value": 0.123457},
    ]
    assert value["regions"][0]["ks"]["d"] == 0.5
