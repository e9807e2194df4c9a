"""Plain webdataset, datasets and torch read the shards; no code of ours does.

Beside synthetic shards they read those of a small run with the quickstart's settings.
"""

from __future__ import annotations

import glob
import io
import json
import runpy
import tarfile
from pathlib import Path

import pytest
import torch
import webdataset as wds
from datasets import load_dataset
from PIL import Image
from pycocotools import mask as coco


@pytest.fixture(params=["synthetic", pytest.param("mined", marks=pytest.mark.whole)])
def tars(request: pytest.FixtureRequest) -> list[str]:
    synthetic = request.param == "synthetic"
    folder = request.getfixturevalue("out" if synthetic else "mined")
    folder = folder if synthetic else folder.out
    found = sorted(glob.glob(f"{folder}/shards/train-*.tar"))
    assert found
    return found


def keys(tars: list[str]) -> list[str]:
    names = [name for path in tars for name in tarfile.open(path).getnames()]
    return [n.removesuffix(".json") for n in names if n.endswith(".json")]


def test_webdataset(tars: list[str]) -> None:
    found = []
    for item in wds.WebDataset(tars, shardshuffle=False, empty_check=False):
        sample = json.loads(item["json"])
        with Image.open(io.BytesIO(item.get("jpg") or item["png"])) as image:
            assert image.size == (sample["width"], sample["height"])
        for region in sample["regions"]:
            assert coco.area(region["rle"]) == region["area_px"]
        found.append(item["__key__"])
    assert found == keys(tars)


def test_torch_over_webdataset(tars: list[str]) -> None:
    data = wds.WebDataset(tars, shardshuffle=False, empty_check=False).map(lambda s: s["__key__"])
    loader = torch.utils.data.DataLoader(data, batch_size=None, num_workers=2)
    assert sorted(loader) == sorted(keys(tars))


def test_datasets(tars: list[str], tmp_path: Path) -> None:
    # FEATURES is the one thing taken from us, by its file: types are no code that reads.
    place = Path(__file__).resolve().parents[2] / "shards/features.py"
    features = runpy.run_path(str(place))["FEATURES"]
    data = load_dataset(
        "webdataset",
        data_files={"train": tars},
        split="train",
        features=features,
        cache_dir=str(tmp_path),
    )
    assert [row["__key__"] for row in data] == keys(tars)
    for row in data.select(range(min(5, len(data)))):
        sample = row["json"]
        picture = row["jpg"] or row["png"]
        assert picture.size == (sample["width"], sample["height"])
        assert all(isinstance(r["score"], float) for r in sample["regions"])
        for region in sample["regions"]:
            assert coco.decode(region["rle"]).sum() == region["area_px"]


def test_datasets_takes_the_types_from_the_card(tars: list[str], tmp_path: Path) -> None:
    place = Path(__file__).resolve().parents[2] / "shards/features.py"
    data = load_dataset(str(Path(tars[0]).parent), split="train", cache_dir=str(tmp_path))
    assert data.features == runpy.run_path(str(place))["FEATURES"]
    assert [row["__key__"] for row in data] == keys(tars)
