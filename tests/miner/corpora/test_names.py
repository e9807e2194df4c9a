"""Files that nobody means as samples, and names as other systems spell them, for all readers."""

import io
import json
import tarfile
import unicodedata
import zipfile

import pyarrow.parquet as pq
import pytest

from tests.miner.corpora.layouts import (
    config,
    fates,
    image_table,
    pathgen_record,
    picture,
    quilt_row,
    read_all,
    write_json,
    write_quilt,
    write_slide,
)

APPLE = b"\0\5\x16\7\0\2\0\0" + bytes(72)
LEFT_BEHIND = ("._{}", ".ipynb_checkpoints/{}", "__MACOSX/._{}", ".hidden/{}")


def write_tar(path, members):
    with tarfile.open(path, "w") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


@pytest.mark.parametrize("behind", LEFT_BEHIND)
@pytest.mark.parametrize("top", ["", "./", "deep.er/"])
def test_hidden_members_of_tars_are_no_samples(tmp_path, behind, top):
    names = [(f"{i}.{e}", d) for i in range(3) for e, d in (("jpg", picture(i)), ("txt", b"Fat."))]
    pairs = [[(top + behind.format(n), APPLE), (top + n, d)] for n, d in names]
    write_tar(tmp_path / "a.tar", [(".DS_Store", b"x"), *(m for pair in pairs for m in pair)])
    write_tar(tmp_path / "._a.tar", [("0.jpg", APPLE)])
    samples, _ = read_all(config("webdataset", tmp_path), tmp_path / "out", unit_rows=1)
    assert fates(samples) == [None] * 3


@pytest.mark.parametrize("behind", LEFT_BEHIND)
def test_hidden_files_of_folders_and_zips_are_no_samples(tmp_path, behind):
    def write(folder, name, data):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)

    for name, data in (("a.jpg", picture(1)), ("a.txt", b"Fat.")):
        write(tmp_path / "pairs", name, data)
        write(tmp_path / "pairs", behind.format(name), data)
    write(tmp_path / "pairs", ".DS_Store", b"x")
    assert fates(read_all(config("pairs", tmp_path / "pairs"), tmp_path / "o1")[0]) == [None]

    write_json(tmp_path / "pathcap" / "data.json", [{"img": "1234567_a.jpg", "caption": "Fat."}])
    write(tmp_path / "pathcap", "._data.json", APPLE)
    with zipfile.ZipFile(tmp_path / "pathcap" / "i.zip", "w") as archive:
        archive.writestr("x/1234567_a.jpg", picture(1))
        archive.writestr(".x/1234567_a.jpg", picture(2))  # else the name would be ambiguous
    write(tmp_path / "pathcap", "._i.zip", APPLE)
    assert fates(read_all(config("pathcap", tmp_path / "pathcap"), tmp_path / "o2")[0]) == [None]

    row = {"image": {"bytes": picture(1), "path": None}, "caption": "Fat."}
    (tmp_path / "hf").mkdir()
    pq.write_table(image_table([row]), tmp_path / "hf" / "a.parquet")
    write(tmp_path / "hf", behind.format("a.parquet"), APPLE)
    assert fates(read_all(config("hf", tmp_path / "hf"), tmp_path / "o3")[0]) == [None]


COMPOSED = unicodedata.normalize("NFC", "é ü ö")
APART = unicodedata.normalize("NFD", COMPOSED)


@pytest.mark.parametrize(("named", "stored"), [(COMPOSED, APART), (APART, COMPOSED)])
def test_letters_may_be_composed_in_either_way(tmp_path, named, stored):
    table = tmp_path / "table"
    (table / "images" / stored).mkdir(parents=True)
    (table / "images" / stored / f"{stored}.jpg").write_bytes(picture(1))
    with zipfile.ZipFile(table / "more.zip", "w") as archive:
        archive.writestr(f"x/{stored}2.jpg", picture(2))
    names = [f"{named}/{named}.jpg", f"{named}2.jpg"]
    write_json(table / "t.json", [{"image": n, "caption": "Fat."} for n in names])
    samples, _ = read_all(config("table", table / "t.json"), tmp_path / "o1")
    assert fates(samples) == [None, None]
    assert [s["image"] for s in samples] == names

    (tmp_path / "pairs").mkdir()
    (tmp_path / "pairs" / f"{stored}.jpg").write_bytes(picture(1))
    (tmp_path / "pairs" / f"{named}.txt").write_text("Fat.")
    assert fates(read_all(config("pairs", tmp_path / "pairs"), tmp_path / "o2")[0]) == [None]

    (tmp_path / "tar").mkdir()
    write_tar(tmp_path / "tar" / "a.tar", [(f"{named}.jpg", picture(1)), (f"{stored}.txt", b"F.")])
    assert fates(read_all(config("webdataset", tmp_path / "tar"), tmp_path / "o3")[0]) == [None]

    write_json(tmp_path / "slides" / "PathGen-1.6M.json", [pathgen_record(named, 0, 0)])
    write_slide(tmp_path / "slides" / f"{stored}.tif", size=1024)
    slides = config("pathgen", tmp_path / "slides")
    assert fates(read_all(slides, tmp_path / "o4")[0]) == [None]


def test_zips_that_do_not_say_how_names_are_encoded(tmp_path):
    names = ["größe.jpg", "切片.jpg", "plain.jpg"]
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
        for seed, name in enumerate(names):
            archive.writestr(f"x/{name}", picture(seed))
    data = bytearray((tmp_path / "images.zip").read_bytes())
    for mark, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):  # macOS leaves bit 11 unset
        at = data.find(mark)
        while at >= 0:
            data[at + flags + 1] &= ~0x08
            at = data.find(mark, at + 1)
    (tmp_path / "images.zip").write_bytes(data)
    write_json(tmp_path / "t.json", [{"image": n, "caption": "Fat."} for n in names])
    samples, _ = read_all(config("table", tmp_path / "t.json"), tmp_path / "out")
    assert fates(samples) == [None] * 3


def test_backslashes_are_borders_of_folders(tmp_path):
    folder = write_quilt(tmp_path / "quilt", [quilt_row(0, image_path="images\\v_image_0.jpg")])
    with zipfile.ZipFile(folder / "images.zip", "w") as archive:
        archive.writestr("quilt\\images\\v_image_0.jpg", picture(1))
    samples, _ = read_all(config("quilt", folder), tmp_path / "o1")
    assert [s["image"] for s in samples] == ["v_image_0.jpg"]
    assert fates(samples) == [None]

    (tmp_path / "images" / "sub").mkdir(parents=True)
    (tmp_path / "images" / "sub" / "a.jpg").write_bytes(picture(1))
    rows = [{"image": n, "caption": "Fat."} for n in ("sub\\a.jpg", "..\\images\\sub\\a.jpg")]
    write_json(tmp_path / "t.json", rows)
    samples, _ = read_all(config("table", tmp_path / "t.json"), tmp_path / "o2")
    assert fates(samples) == [None, "unreadable:bad_name"]

    (tmp_path / "tar").mkdir()
    members = [
        (f"v1.0\\{i}.{e}", d) for i in range(2) for e, d in (("jpg", picture(i)), ("txt", b"F"))
    ]
    write_tar(tmp_path / "tar" / "a.tar", members)
    assert fates(read_all(config("webdataset", tmp_path / "tar"), tmp_path / "o3")[0]) == [None] * 2


@pytest.mark.parametrize("record", [{"file_id": ".."}, {"wsi_id": "..\\up"}, {"wsi_id": "a\0b"}])
def test_no_name_leads_out_of_the_folder_of_slides(tmp_path, record):
    write_slide(tmp_path / "A.tif", size=1024)
    write_slide(tmp_path / "up.tif", size=1024)
    write_json(tmp_path / "in" / "PathGen-1.6M.json", [pathgen_record("A", 0, 0) | record])
    (tmp_path / "in" / "slides").mkdir()
    corpus = config("pathgen", tmp_path / "in", slide_paths=["slides"])
    (fate,) = fates(read_all(corpus, tmp_path / "out")[0])
    assert fate in ("unreadable:missing_slide", "unreadable:bad_name")


def test_flags_of_the_cleaner_are_found_whatever_the_spelling(tmp_path):
    folder = write_quilt(tmp_path, [quilt_row(0, image_path=f"{COMPOSED}.jpg")])
    (folder / "images").mkdir()
    (folder / "images" / f"{COMPOSED}.jpg").write_bytes(picture(1))
    (folder / "flags.csv").write_text(f"Filename,Text\nx\\{APART}.jpg,1\n")
    corpus = config("quilt", folder, cleaner_path="flags.csv", exclude_flags=["Text"])
    samples, _ = read_all(corpus, tmp_path / "out")
    assert fates(samples) == ["excluded:impurity:Text"]
    assert json.loads(samples[0]["meta"])["impurities"] == ["Text"]
