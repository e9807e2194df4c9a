"""Tables as people save them: what is read, and what is refused in one line."""

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from miner.core.errors import Refused
from miner.corpora.detect import detect
from tests.miner.corpora.layouts import (
    QUILT_COLUMNS,
    config,
    fates,
    quilt_row,
    read_all,
    write_images,
    write_quilt,
)

CAPTIONS = ["Glands in stroma.", "Fat, and vessels.", "Nuclei."]
NAMES = [f"{i}.jpg" for i in range(3)]


def write(folder, name, text, encoding="utf-8"):
    write_images(folder / "images", NAMES)
    (folder / name).write_bytes(text.encode(encoding))
    return config("table", folder / name)


def read(corpus, out):
    samples, _ = read_all(corpus, out)
    assert fates(samples) == [None] * 3
    return [(s["image"], s["caption"]) for s in samples], [json.loads(s["meta"]) for s in samples]


QUOTED = [f'"{c}"' for c in CAPTIONS]
LINES = [f"{n};{c}" for n, c in zip(NAMES, QUOTED, strict=True)]
RECORDS = [json.dumps({"image": n, "caption": c}) for n, c in zip(NAMES, CAPTIONS, strict=True)]
READ = {
    "semicolons": ("t.csv", "image;caption\n" + "\n".join(LINES)),
    "bars": ("t.csv", "image|caption\n" + "\n".join(x.replace(";", "|") for x in LINES)),
    "tabs under .csv": ("t.csv", "image\tcaption\n" + "\n".join(
        f"{n}\t{c}" for n, c in zip(NAMES, CAPTIONS, strict=True))),
    "commas under .tsv": ("t.tsv", "image,caption\n" + "\n".join(
        x.replace(";", ",") for x in LINES)),
    "commas at the ends": ("t.csv", "image,caption\n" + "".join(
        x.replace(";", ",") + ",,\n" for x in LINES)),
    "commas at the end of the header": ("t.csv", "image,caption,,\n" + "\n".join(
        x.replace(";", ",") for x in LINES)),
    "an index without a name": ("t.csv", ",image,caption\n" + "\n".join(
        f"{i},{x.replace(';', ',')}" for i, x in enumerate(LINES))),
    "row names of R": ("t.csv", "image,caption\n" + "\n".join(
        f"{i},{x.replace(';', ',')}" for i, x in enumerate(LINES))),
    "JSON lines under .json": ("t.json", "\n".join(RECORDS)),
    "a list under .jsonl": ("t.jsonl", "[" + ",\n".join(RECORDS) + "]"),
}  # fmt: skip


@pytest.mark.parametrize("name", READ)
def test_a_table_is_read_by_what_it_holds(tmp_path, name):
    rows, meta = read(write(tmp_path, *READ[name]), tmp_path / "out")
    assert rows == list(zip(NAMES, CAPTIONS, strict=True))
    assert meta == [{}] * 3


@pytest.mark.parametrize("name", READ)
def test_inspect_finds_the_columns(tmp_path, name):
    found = detect(write(tmp_path, *READ[name]).path)
    assert (found.kind, found.image, found.caption) == ("table", "image", "caption")


def test_a_repeated_name_is_that_of_its_first_column(tmp_path):
    lines = [f'{n},"{c}",a{n},b{n}' for n, c in zip(NAMES, CAPTIONS, strict=True)]
    corpus = write(tmp_path, "t.csv", "image,caption,note,note\n" + "\n".join(lines))
    rows, meta = read(corpus, tmp_path / "out")
    assert rows == list(zip(NAMES, CAPTIONS, strict=True))
    assert meta == [{"note": f"a{n}"} for n in NAMES]


@pytest.mark.parametrize("header", ["image,caption,caption", "image,caption,image"])
def test_a_repeated_name_that_matters_is_refused(tmp_path, header):
    corpus = write(tmp_path, "t.csv", header + "\n0.jpg,a,b\n")
    name = header.rpartition(",")[2]
    with pytest.raises(Refused, match=f"2 columns are called '{name}'"):
        read_all(corpus, tmp_path / "out")


def test_repeated_names_in_quilt_and_parquet(tmp_path):
    rows = [[*quilt_row(i), "a", "b"] for i in range(2)]
    folder = write_quilt(tmp_path / "quilt", rows, [*QUILT_COLUMNS, "x", "x"])
    write_images(folder / "images", ["vid0_image_0.jpg", "vid1_image_1.jpg"])
    assert fates(read_all(config("quilt", folder), tmp_path / "out")[0]) == [None, None]

    write_images(tmp_path / "images", NAMES)
    columns = [pa.array(NAMES), pa.array(CAPTIONS), pa.array([1, 2, 3]), pa.array([4, 5, 6])]
    pq.write_table(pa.table(columns, names=["image", "caption", "x", "x"]), tmp_path / "t.parquet")
    found, _ = read(config("table", tmp_path / "t.parquet"), tmp_path / "out2")
    assert found == list(zip(NAMES, CAPTIONS, strict=True))
    pq.write_table(
        pa.table(columns[:2] * 2, names=["image", "caption"] * 2), tmp_path / "t.parquet"
    )
    with pytest.raises(Refused, match="2 columns are called 'image'"):
        read_all(config("table", tmp_path / "t.parquet"), tmp_path / "out3")


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl", "t.parquet"])
def test_columns_are_found_whatever_their_case(tmp_path, name):
    write_images(tmp_path / "images", NAMES)
    rows = [{"Image": n, "CAPTION": c} for n, c in zip(NAMES, CAPTIONS, strict=True)]
    if name == "t.csv":
        lines = ["Image,CAPTION", *(f'{r["Image"]},"{r["CAPTION"]}"' for r in rows)]
        (tmp_path / name).write_text("\n".join(lines))
    elif name == "t.jsonl":
        (tmp_path / name).write_text("\n".join(map(json.dumps, rows)))
    else:
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / name)
    found, meta = read(config("table", tmp_path / name), tmp_path / "out")
    assert found == list(zip(NAMES, CAPTIONS, strict=True))
    assert meta == [{}] * 3
    detected = detect(str(tmp_path / name))
    assert (detected.image, detected.caption) == ("Image", "CAPTION")


def test_a_column_that_is_not_there_names_its_setting(tmp_path):
    corpus = write(tmp_path, "t.csv", "Picture,caption\n0.jpg,Fat.\n")
    with pytest.raises(
        Refused, match=r"has: Picture, caption; name it: --set corpora\.table\.image="
    ):
        read_all(corpus, tmp_path / "out")
    named = write(tmp_path, "u.csv", "Image,image,caption\n1.jpg,0.jpg,Fat.\n")
    samples, _ = read_all(named, tmp_path / "out2")
    assert [s["image"] for s in samples] == ["0.jpg"]  # exactly so called, of two that are alike


@pytest.mark.parametrize("where", ["below the corpus", "below image_paths", "elsewhere"])
def test_absolute_paths_are_read_where_pictures_may_lie(tmp_path, where):
    home = tmp_path / ("corpus" if where == "below the corpus" else "pictures")
    write_images(home / "images" / "deep", NAMES)
    lines = [f'{home}/images/deep/{n},"{c}"' for n, c in zip(NAMES, CAPTIONS, strict=True)]
    (tmp_path / "corpus").mkdir(exist_ok=True)
    (tmp_path / "corpus/t.csv").write_text("image,caption\n" + "\n".join(lines))
    more = {"image_paths": [str(home)]} if where == "below image_paths" else {}
    samples, _ = read_all(config("table", tmp_path / "corpus/t.csv", **more), tmp_path / "out")
    if where == "elsewhere":
        assert fates(samples) == ["unreadable:outside_folder"] * 3
        return
    assert fates(samples) == [None] * 3
    assert not any(str(tmp_path) in json.dumps(s["image"]) for s in samples)  # no path enters


def test_an_absolute_path_leads_nowhere_else(tmp_path):
    write_images(tmp_path / "corpus", NAMES)
    write_images(tmp_path, ["secret.jpg"])
    lines = f"image,caption\n{tmp_path}/corpus/../secret.jpg,Fat.\n{tmp_path}/corpusx/0.jpg,Fat.\n"
    (tmp_path / "corpus/t.csv").write_text(lines)
    samples, _ = read_all(config("table", tmp_path / "corpus/t.csv"), tmp_path / "out")
    assert fates(samples) == ["unreadable:bad_name", "unreadable:outside_folder"]


def test_cells_that_are_not_empty_do_not_fit(tmp_path):
    text = "image,caption\n0.jpg,Glands, in stroma.\n1.jpg\n2.jpg,Nuclei.,,\n"
    samples, _ = read_all(write(tmp_path, "t.csv", text), tmp_path / "out")
    wrong = "unreadable:wrong_number_of_fields"
    assert fates(samples) == [wrong, wrong, None]


TEXT = READ["commas at the ends"][1]
FOREIGN = {
    "gzip": ("t.csv.gz", gzip.compress(TEXT.encode()), "gzip data"),
    "gzip under .csv": ("t.csv", gzip.compress(TEXT.encode()), "gzip data"),
    "UTF-16 with a mark": ("t.csv", TEXT.encode("utf-16"), "UTF-16"),
    "UTF-16 without": ("t.csv", TEXT.encode("utf-16-le"), "UTF-16"),
    "UTF-16 the other way": ("t.tsv", TEXT.encode("utf-16-be"), "UTF-16"),
    "UTF-16 JSON": ("t.json", "[]".encode("utf-16"), "UTF-16"),
    "UTF-16 lines": ("t.jsonl", RECORDS[0].encode("utf-16-le"), "UTF-16"),
    "a workbook": ("t.csv", b"PK\3\4" + bytes(60), "Excel"),
    "a web page": ("t.csv", b"<!DOCTYPE html><html></html>", "web page"),
    "Git LFS": ("t.json", b"version https://git-lfs.github.com/spec/v1\noid", "git lfs pull"),
    "an object": ("t.json", b'{"data": [{"image": "0.jpg"}]}', 'begins with "data"'),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_other_files_are_refused_by_what_they_are(tmp_path, name):
    file, data, found = FOREIGN[name]
    (tmp_path / file).write_bytes(data)
    with pytest.raises(Refused, match=found) as refusal:
        read_all(config("table", tmp_path / file), tmp_path / "out")
    assert len(str(refusal.value).splitlines()) == 1
    if name != "an object":
        with pytest.raises(Refused, match=found):
            detect(str(tmp_path / file))
