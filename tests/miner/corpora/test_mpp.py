"""A side column `mpp`, of whatever table, is what a run takes and what `miner inspect` shows."""

import io
import json
import tarfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from miner.corpora.inspect import examine
from miner.corpora.rows import Row
from tests.miner.corpora import expert_sets
from tests.miner.corpora.layouts import config, image_table, picture, read_all, write_images

HEAD = ("image", "caption", "mpp")


def csv(folder):
    folder.joinpath("t.csv").write_text(",".join(HEAD) + "\n0.jpg,Fat.,0.25")


def german_csv(folder):
    folder.joinpath("t.csv").write_text("image;caption;MPP\n0.jpg;Fat.;0,25")


def json_lines(folder):
    folder.joinpath("t.jsonl").write_text('{"image": "0.jpg", "caption": "Fat.", "mpp": 0.25}')


def parquet(folder):
    row = dict(zip(HEAD, ("0.jpg", "Fat.", "0.25"), strict=True))
    pq.write_table(pa.Table.from_pylist([row]), folder / "t.parquet")


def hf(folder):
    row = {"image": {"bytes": picture(0), "path": None}, "text": "Fat."}
    table = image_table([row]).append_column("mpp", pa.array([0.25]))
    pq.write_table(table, folder / "train-00000-of-00001.parquet")


def webdataset(folder):
    side = json.dumps({"caption": "Fat.", "mpp": 0.25}).encode()
    with tarfile.open(folder / "000.tar", "w") as tar:
        for name, data in (("0.jpg", picture(0)), ("0.json", side)):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def conversations(folder):
    turns = [{"from": "human", "value": "What is it?"}, {"from": "gpt", "value": "Fat."}]
    rows = [{"image": "0.jpg", "conversations": turns, "mpp": "0.25"}]
    folder.joinpath("t.json").write_text(json.dumps(rows))


def expert(folder):
    expert_sets.write_plain(folder)
    head = "image,mpp,organ,stain,group,caption\n"
    (folder / "pictures.csv").write_text(head + 'a,"0,25",colon,H&E,p1,\nb,0.25,colon,H&E,p2,\n')


@pytest.mark.parametrize(
    "write", [csv, german_csv, json_lines, parquet, hf, webdataset, conversations, expert]
)
def test_a_side_column_mpp_is_taken_and_shown(tmp_path, write):
    folder = tmp_path / "corpus"
    folder.mkdir()
    if write is not expert:
        write_images(folder / "images", ["0.jpg"])
    write(folder)
    found = examine(str(folder))
    assert set(found["spread"]["mpp"]) == {"0.25"}
    settings = {"text": "json"} if write is webdataset else {}
    if write is hf:
        settings["caption"] = "text"
    _, images = read_all(config(found["corpus"], folder, **settings), tmp_path / "out")
    assert {(i["mpp"], i["mpp_source"]) for i in images.values()} == {(0.25, "stated")}


@pytest.mark.parametrize("said", ["", "20x", "0", "nan", "-1", 400, True, None, "1,234.5"])
def test_what_is_no_scale_is_none(said):
    assert Row(0, meta={"mpp": said}).stated_mpp is None
