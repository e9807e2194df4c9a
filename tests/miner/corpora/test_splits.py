"""Splits by how files lie: the same as the datasets library says, and never another split."""

import os

import datasets
import pyarrow.parquet as pq
import pytest
from datasets.data_files import DataFilesDict, get_data_patterns

from miner.core.errors import Refused
from miner.corpora.corpus_folder import Folder
from miner.corpora.detect import detect
from miner.corpora.splits import splits_of
from tests.miner.corpora.layouts import config, image_table, picture, read_all

SHARD = "-00000-of-00001"
LAYOUTS = {
    "files": ["train.parquet", "validation.parquet", "test.parquet"],
    "folders": ["train/0000.parquet", "val/0000.parquet", "test/0000.parquet"],
    "shards": [f"data/{s}{SHARD}.parquet" for s in ("train", "dev", "test", "extra")],
    "shards at the top": [f"{s}{SHARD}.parquet" for s in ("train", "test", "extra")],
    "refs/convert": [f"default/{s}/{n:04}.parquet" for s in ("train", "test") for n in (0, 1)],
    "partial": ["default/partial-train/0000.parquet", "default/partial-test/0000.parquet"],
    "two configurations": ["a/train/0.parquet", "b/train/0.parquet", "b/test/0.parquet"],
    "other words": ["training_1.parquet", "my-dev.parquet", "eval.1.parquet"],
    "words in words": ["trains.parquet", "latest.parquet", "contest/a.parquet"],
    "folders win": ["train/test.parquet", "train/a.parquet", "x.parquet"],
    "no words": ["a.parquet", "b/c.parquet"],
    "numbers": ["train0.parquet", "2test.parquet", "x 3 val 4.parquet"],
    "capitals": ["Train.parquet", "TEST.parquet"],
    "hidden ones": ["train.parquet", "__cache__/test.parquet", ".x/validation.parquet"],
    "test alone": ["test.parquet"],
}
CARDS = {
    "of splits": "configs:\n- config_name: x\n  data_files:\n  - split: train\n    path: a/*\n"
    "  - split: test\n    path: [train.parquet, b/**]\n",
    "of patterns": "configs:\n- config_name: default\n  data_files: ['a/*', 'b/1.parquet']\n",
    "with a default": "configs:\n- config_name: x\n  data_files: b/*\n"
    "- config_name: y\n  default: true\n  data_files: [{split: validation, path: 'a/*'}]\n",
    "of something else": "license: mit\n",
}
CARD_FILES = ["train.parquet", "a/0.parquet", "a/1.parquet", "b/1.parquet"]


def write(folder, names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        row = {"image": {"bytes": picture(len(name)), "path": None}, "caption": name}
        pq.write_table(image_table([row]), folder / name)


def seen(folder):
    names = sorted(n for n in Folder(str(folder)).walk() if n.endswith(".parquet"))
    return splits_of(Folder(str(folder)), names)


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_library_says_the_same(tmp_path, name):
    write(tmp_path, LAYOUTS[name])
    patterns = get_data_patterns(str(tmp_path))
    files = DataFilesDict.from_patterns(patterns, base_path=str(tmp_path))
    expected = {s: sorted(os.path.relpath(f, tmp_path) for f in fs) for s, fs in files.items()}
    assert seen(tmp_path) == expected


@pytest.mark.parametrize("name", CARDS)
def test_a_card_says_the_same_to_the_library(tmp_path, name):
    write(tmp_path, CARD_FILES)
    (tmp_path / "README.md").write_text(f"---\n{CARDS[name]}---\n# A data set\n")
    cache = str(tmp_path / ".cache")
    builder = datasets.load_dataset_builder(str(tmp_path), cache_dir=cache)
    files = builder.config.data_files
    expected = {s: sorted(os.path.relpath(f, tmp_path) for f in fs) for s, fs in files.items()}
    assert seen(tmp_path) == expected


def test_a_card_of_configurations_without_a_default_is_refused(tmp_path):
    write(tmp_path, CARD_FILES)
    (tmp_path / "README.md").write_text(
        f"---\n{CARDS['with a default'].replace('true', 'false')}---"
    )
    with pytest.raises(Refused, match="configurations x, y and no default"):
        read_all(config("hf", tmp_path), tmp_path / "out")


@pytest.mark.parametrize("name", [n for n in LAYOUTS if n not in ("words in words", "capitals")])
def test_no_row_of_another_split_is_read(tmp_path, name):
    write(tmp_path / "in", LAYOUTS[name])
    if name == "test alone":
        with pytest.raises(Refused, match="no split 'train'; has: test"):
            read_all(config("hf", tmp_path / "in"), tmp_path / "out")
        assert detect(str(tmp_path / "in")).split == "test"
        return
    samples, _ = read_all(detect(str(tmp_path / "in")), tmp_path / "out")
    assert {s["caption"] for s in samples} == set(seen(tmp_path / "in")["train"])
    with pytest.raises(Refused, match=r"no split 'valid'; has: .*train"):
        read_all(config("hf", tmp_path / "in", split="valid"), tmp_path / "out2")


def test_a_file_is_of_one_split(tmp_path):
    write(tmp_path / "a", ["train_test/train.parquet", "train_test/test.parquet"])
    assert seen(tmp_path / "a")["train"] == ["train_test/train.parquet"]
    write(tmp_path / "b", ["train.parquet", "train-test.parquet"])
    with pytest.raises(Refused, match="of the splits train and test"):
        seen(tmp_path / "b")


def test_what_was_saved_of_another_split_is_refused(tmp_path):
    rows = {"image": [{"bytes": picture(1), "path": None}], "caption": ["Fat."]}
    features = datasets.Features({"image": datasets.Image(), "caption": datasets.Value("string")})
    for name, split in (("none", None), ("test", "test"), ("train", "train")):
        saved = datasets.Dataset.from_dict(rows, features=features, split=split)
        saved.save_to_disk(str(tmp_path / name))
    for name in ("none", "train"):
        assert len(read_all(config("hf", tmp_path / name), tmp_path / "out" / name)[0]) == 1
    with pytest.raises(Refused, match="no split 'train'; has: test"):
        read_all(config("hf", tmp_path / "test"), tmp_path / "out")
