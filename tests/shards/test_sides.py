"""Side files that the corpus configuration names become members of the sample."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import webdataset as wds

from miner.core.errors import Refused
from miner.core.store import Store
from miner.load_config import check_config
from miner.progress import Lines
from miner.run import run
from shards import GroundedCaptions, GroundedStream, StreamLoader
from shards.sides import side_files
from shards.validate import validate
from tests.miner.corpora.layouts import quilt_row, write_images, write_quilt
from tests.shards.mined import SIDES, Mined


def test_found_by_picture_and_by_slide(tmp_path: Path) -> None:
    (tmp_path / "genes").mkdir()
    (tmp_path / "genes/a_1.npy").write_bytes(b"vector")
    (tmp_path / "slide9.csv").write_bytes(b"panel")
    (tmp_path / "empty").write_bytes(b"")
    row = {"image": "a_1.jpg", "group": "slide9", "row": 3, "sample_id": "q-3"}
    patterns = {
        "genes.npy": "genes/{stem}.npy",
        "panel.csv": str(tmp_path / "{group}.csv"),
        "none": "genes/{row}.npy",
        "empty": "empty",
    }
    found = side_files(row, patterns, str(tmp_path))
    assert found == {"genes.npy": b"vector", "panel.csv": b"panel"}


@pytest.mark.parametrize(
    ("image", "stem"),
    [
        ("a.b_image_1.JPG", "a.b_image_1"),
        ("TCGA-A1-0001-01Z-00-DX1.0A1B2C_32_4096", "TCGA-A1-0001-01Z-00-DX1.0A1B2C_32_4096"),
        ("sub/folder.v2/x.tiff", "sub/folder.v2/x"),
    ],
)
def test_only_a_pictures_extension_is_taken_off(tmp_path: Path, image: str, stem: str) -> None:
    path = tmp_path / f"{stem}.npy"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    row = {"image": image, "group": "", "row": 0, "sample_id": ""}
    assert side_files(row, {"npy": "{stem}.npy"}, str(tmp_path)) == {"npy": b"x"}


def test_from_the_configuration_to_the_loaders(mined: Mined) -> None:
    """Keyed by picture, by patch and by slide; a row without a file has none."""
    assert validate(Store(mined.out)).faults == []
    dataset = GroundedCaptions(mined.out)
    seen = dict.fromkeys(SIDES, 0)
    for i in range(len(dataset)):
        sample = dataset[i]["sample"]
        expected = mined.sides(sample)
        assert sample["members"] == sorted(expected)
        for name, data in expected.items():
            assert dataset.side(i, name) == data
            seen[name] += 1
    assert all(seen.values()), seen
    assert sum(seen.values()) < len(dataset) * len(SIDES)  # not every sample has every file


def test_webdataset_sees_them_as_members(mined: Mined) -> None:
    tars = sorted(str(path) for path in (mined.out / "shards").glob("*.tar"))
    found = 0
    for item in wds.WebDataset(tars, shardshuffle=False).decode():
        vector = item.get("genes.npy")
        if vector is not None:
            assert vector.shape == (5,)
            assert vector.dtype == np.float32
            found += 1
    assert found


def test_a_transform_may_read_them(mined: Mined) -> None:
    """The sample lists its members, so a loader of any kind knows what there is."""
    loader = StreamLoader(GroundedStream(mined.out), 2, 1)
    names = {n for batch in loader for s in batch["sample"] for n in s["members"]}
    assert names == set(SIDES)


def test_a_flipped_byte_in_one_is_found(mined: Mined, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(mined.out / "shards", copy / "shards")
    index = GroundedCaptions(copy).index
    row = next(r for r in index.to_pylist() if r["members"])
    member = row["members"][-1]
    path = sorted((copy / "shards").glob("*.tar"))[row["shard"]]
    data = bytearray(path.read_bytes())
    data[member["offset"]] ^= 1
    path.write_bytes(data)
    assert any(
        row["key"] in str(f) and member["name"] in str(f) for f in validate(Store(copy)).faults
    )


@pytest.mark.parametrize(
    "value",
    ["../secret", "x/../../secret", "/etc/passwd", "memory://x/y", "..", "", "a\0b", "..\\x"],
)
def test_what_a_row_says_leads_nowhere_else(tmp_path: Path, value: str) -> None:
    (tmp_path / "secret.csv").write_bytes(b"secret")
    (tmp_path / "in").mkdir()
    row = {"image": "a.jpg", "group": value, "row": 0, "sample_id": "q-0"}
    for pattern in ("{group}.csv", "{group}", str(tmp_path / "in" / "{group}.csv")):
        assert side_files(row, {"csv": pattern}, str(tmp_path / "in")) == {}


def test_links_pipes_and_files_that_may_not_be_read_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_bytes(b"secret")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "t.json").write_text("[]")
    os.symlink("../secret.csv", tmp_path / "in" / "link.csv")
    os.mkfifo(tmp_path / "in" / "pipe.csv")
    (tmp_path / "in" / "good.csv").write_bytes(b"good")
    for base in ("in", "in/t.json"):
        found = {}
        for name in ("link", "pipe", "good"):
            row = {"image": f"{name}.jpg", "group": "g", "row": 0, "sample_id": "q-0"}
            found[name] = side_files(row, {"csv": "{stem}.csv"}, str(tmp_path / base))
        assert found == {"link": {}, "pipe": {}, "good": {"csv": b"good"}}


def test_side_files_are_tried_before_anything_is_mined(tmp_path: Path) -> None:
    folder = write_quilt(tmp_path / "quilt", [quilt_row(0)])
    write_images(folder / "images", ["vid0_image_0.jpg"])
    (tmp_path / "secret.csv").write_bytes(b"secret")
    os.symlink("../secret.csv", folder / "vid0_image_0.csv")
    quilt = {"kind": "quilt", "path": str(folder), "side_paths": {"csv": "{stem}.csv"}}
    config = check_config({"out": str(tmp_path / "out"), "corpora": [quilt]}, "run.yaml")
    with pytest.raises(Refused, match=r"corpora\.quilt\.side_paths: .*csv: a link that leads out"):
        run(config, Lines(), False)
    assert not (tmp_path / "out" / "units").exists()
