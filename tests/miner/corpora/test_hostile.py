"""Content that is meant to do harm costs its row, and no other."""

import io
import json
import os
import struct
import time
import zipfile

import fsspec
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from PIL import Image

from miner.corpora.images import check
from miner.corpora.table import Table
from tests.miner.corpora.layouts import (
    config,
    fates,
    image_table,
    picture,
    read_all,
    write_images,
    write_json,
)

NAMES = [f"{i}.jpg" for i in range(4)]


def table(folder, rows):
    write_images(folder / "images", NAMES)
    write_json(folder / "t.json", rows)
    return config("table", folder / "t.json")


def rows_of(hostile):
    rows = [{"image": n, "caption": "Fat."} for n in NAMES]
    return [*rows[:2], {**rows[2], **hostile}, rows[3]]


HOSTILE = {
    "a lone surrogate": ({"caption": "\ud800 fat"}, "unreadable:bad_utf8"),
    "a lone surrogate in a name": ({"image": "\udfff.jpg"}, "unreadable:bad_utf8"),
    "a NUL in a name": ({"image": "2\0.jpg"}, "unreadable:bad_name"),
    "a name of megabytes": ({"image": "x" * 2_000_000}, "unreadable:missing_image"),
    "a caption of megabytes": ({"caption": "fat " * 500_000}, "excluded:caption_too_long"),
    "a caption that is a list": ({"caption": ["Fat."]}, "unreadable:caption_is_no_text"),
    "a name that is a number": ({"image": 7}, "unreadable:bad_name"),
    "a name that leads out": ({"image": "../t.json"}, "unreadable:bad_name"),
    "a pattern": ({"image": "*.jpg"}, "unreadable:missing_image"),
    "surrogates in a side column": ({"note": "\ud800"}, None),
    "a number of 4,000 digits": ({"note": 10**4000}, None),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_row_costs_itself(tmp_path, name):
    hostile, fate = HOSTILE[name]
    write_images(tmp_path / "images", NAMES)
    (tmp_path / "t.json").write_text(json.dumps(rows_of(hostile)))
    samples, _ = read_all(config("table", tmp_path / "t.json"), tmp_path / "out")
    assert fates(samples) == [None, None, fate, None]


@pytest.mark.parametrize("step", ["rows", "pictures"])
def test_whatever_a_row_raises_in_a_reader_is_its_reason(tmp_path, monkeypatch, step):
    asked = getattr(Table, step)

    def fragile(self, items, *rest):
        found = asked(self, items, *rest)
        for item in items:
            if item.row == 2:
                raise KeyError("odd")
        return found

    monkeypatch.setattr(Table, step, fragile)
    samples, _ = read_all(table(tmp_path, rows_of({})), tmp_path / "out")
    assert fates(samples) == [None, None, "unreadable:failed:KeyError", None]


def test_a_place_that_cannot_be_reached_is_no_fault_of_its_rows(tmp_path, monkeypatch):
    def away(*_):
        raise ConnectionError("no route to host")

    corpus = table(tmp_path, rows_of({}))
    monkeypatch.setattr(Table, "pictures", away)
    with pytest.raises(ConnectionError):
        read_all(corpus, tmp_path / "out")


def test_a_pattern_fetches_one_object_at_most():
    MemoryFileSystem.store.clear()
    fs = fsspec.filesystem("memory")
    for name in NAMES:
        fs.pipe_file(f"/c/images/{name}", picture(1))
    odd = ["*.jpg", "?.jpg", "[0-9].jpg", "**"]
    fs.pipe_file("/c/images/[0-9].jpg", picture(2))
    fs.pipe_file("/c/t.json", json.dumps([{"image": n, "caption": "Fat."} for n in odd]).encode())
    samples, images = read_all(config("table", "memory://c/t.json"), "memory://out")
    missing = "unreadable:missing_image"
    assert fates(samples) == [missing, missing, None, missing]
    assert images["table/[0-9].jpg"]["data"] == picture(2)


def test_empty_members_and_files(tmp_path):
    corpus = table(tmp_path, [{"image": f"{n}.jpg", "caption": "Fat."} for n in "abcd"])
    with zipfile.ZipFile(tmp_path / "i.zip", "w") as archive:
        archive.writestr("a.jpg", b"", zipfile.ZIP_STORED)
        archive.writestr("b.jpg", b"", zipfile.ZIP_DEFLATED)
        archive.writestr("d.jpg", picture(1), zipfile.ZIP_DEFLATED)
    (tmp_path / "images" / "c.jpg").write_bytes(b"")
    samples, _ = read_all(corpus, tmp_path / "out")
    assert fates(samples) == ["unreadable:empty_file"] * 3 + [None]


def test_pipes_devices_and_links_out_are_not_read(tmp_path):
    (tmp_path / "secret.jpg").write_bytes(picture(1))
    (tmp_path / "secret.txt").write_text("Secret.")
    folder = tmp_path / "in"
    corpus = table(folder, rows_of({}))
    for name in NAMES[:3]:
        (folder / "images" / name).unlink()
    os.mkfifo(folder / "images" / "0.jpg")
    os.symlink("/dev/zero", folder / "images" / "1.jpg")
    os.symlink("../../secret.jpg", folder / "images" / "2.jpg")
    samples, _ = read_all(corpus, tmp_path / "o1")
    assert fates(samples) == [
        "unreadable:unreadable_file", "unreadable:outside_folder",
        "unreadable:outside_folder", None,
    ]  # fmt: skip

    pairs = tmp_path / "pairs"
    write_images(pairs, ["a.jpg", "b.jpg", "c.jpg"])
    (pairs / "c.txt").write_text("Fat.")
    os.symlink("../secret.txt", pairs / "a.txt")
    os.mkfifo(pairs / "b.txt")
    samples, _ = read_all(config("pairs", pairs), tmp_path / "o2")
    assert [s["caption"] for s in samples] == ["", "", "Fat."]
    assert fates(samples) == ["unreadable:outside_folder", "unreadable:unreadable_file", None]

    (tmp_path / "hf").mkdir()
    os.symlink("../secret.jpg", tmp_path / "hf" / "x.jpg")
    row = {"image": {"bytes": None, "path": "x.jpg"}, "caption": "Fat."}
    pq.write_table(image_table([row]), tmp_path / "hf" / "a.parquet")
    assert fates(read_all(config("hf", tmp_path / "hf"), tmp_path / "o3")[0]) == [
        "unreadable:missing_image"
    ]


def test_links_within_a_corpus_are_followed(tmp_path):
    corpus = table(tmp_path, rows_of({}))
    (tmp_path / "images" / "2.jpg").unlink()
    os.symlink("1.jpg", tmp_path / "images" / "2.jpg")
    (tmp_path / "deeper").mkdir()
    (tmp_path / "images" / "0.jpg").rename(tmp_path / "deeper" / "0.jpg")
    os.symlink("../deeper/0.jpg", tmp_path / "images" / "0.jpg")
    assert fates(read_all(corpus, tmp_path / "out")[0]) == [None] * 4


def test_a_picture_of_many_directories_takes_no_time():
    buffer = io.BytesIO()
    Image.new("L", (16, 16)).save(buffer, "TIFF")
    data = bytearray(buffer.getvalue())
    (first,) = struct.unpack_from("<I", data, 4)
    (entries,) = struct.unpack_from("<H", data, first)
    directory = bytes(data[first : first + 2 + 12 * entries])
    link = first + len(directory)
    count = 20_000
    for _ in range(count):
        struct.pack_into("<I", data, link, len(data))
        link = len(data) + len(directory)
        data += directory + bytes(4)
    begin = time.process_time()
    assert check(bytes(data), 10_000).reason == "animated"
    assert time.process_time() - begin < 0.5


def test_bytes_of_another_format_under_a_pictures_name():
    dds = b"DDS " + struct.pack("<I", 124) + b"\xff" * 200
    for data in (dds, b"\xff\xd8" + bytes(50), b"RIFF\0\0\0\0WEBPVP8 " + bytes(20), b"GIF89a"):
        assert check(data, 10_000).status == "unreadable"
