import io
import json
import os
import tarfile

import datasets
import pyarrow.parquet as pq
import pytest

from miner.core.errors import Refused
from tests.miner.corpora.layouts import (
    config,
    fates,
    image_table,
    picture,
    read_all,
    write_images,
    write_json,
    write_zip,
)


def test_arch(tmp_path):
    books = {
        "0": {"figure_id": "00", "letter": "A", "caption": "Colonic crypts.", "uuid": "u-1"},
        "1": {"figure_id": "00", "letter": "B", "caption": "Mucin.", "uuid": "u-2"},
        "2": {"figure_id": "01", "letter": None, "caption": "Missing.", "uuid": "u-9"},
    }
    write_json(tmp_path / "books_set" / "captions.json", books)
    write_json(tmp_path / "pubmed_set" / "captions.json", {"0": {"caption": "Fat.", "uuid": "p-1"}})
    write_images(tmp_path / "books_set" / "images", ["u-1.png", "u-2.jpg"])
    write_images(tmp_path / "pubmed_set" / "images", ["p-1.jpg"])
    samples, images = read_all(config("arch", tmp_path), tmp_path / "out")
    assert fates(samples) == [None, None, "unreadable:missing_image", None]
    assert [s["group"] for s in samples] == ["00", "00", "01", "p-1"]
    assert json.loads(samples[0]["meta"]) == {"panel": "A"}
    assert images["arch/p-1"]["data"] is not None


def test_arch_refuses_other_folders(tmp_path):
    (tmp_path / "some").mkdir()
    with pytest.raises(Refused, match=r"expected books_set/captions\.json .* found some"):
        read_all(config("arch", tmp_path), tmp_path / "out")


def test_pairs_at_any_depth_with_a_loop_of_links(tmp_path):
    for name in ("D.JPG", "a.jpg", "deep/b.png", "deep/c.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(picture(1))
    (tmp_path / "D.TXT").write_text("Stroma.")
    (tmp_path / "a.txt").write_text("Glands.\n")
    (tmp_path / "deep" / "b.txt").write_bytes(b"\xef\xbb\xbfFat.")
    (tmp_path / "README.txt").write_text("no row")
    os.symlink(tmp_path, tmp_path / "deep" / "loop")
    samples, _ = read_all(config("pairs", tmp_path), tmp_path / "out")
    assert [s["image"] for s in samples] == ["D.JPG", "a.jpg", "deep/b.png", "deep/c.jpg"]
    assert [s["caption"] for s in samples] == ["Stroma.", "Glands.", "Fat.", ""]
    assert fates(samples) == [None, None, None, "unreadable:missing_text"]


def test_pairs_refuse_a_folder_without(tmp_path):
    (tmp_path / "a.jpg").write_bytes(picture())
    with pytest.raises(Refused, match=r"same stem, found 1 pictures and 0 texts"):
        read_all(config("pairs", tmp_path), tmp_path / "out")


def write_tar(path, members, format_=tarfile.USTAR_FORMAT):
    with tarfile.open(path, "w", format=format_) as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


@pytest.mark.parametrize("format_", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_webdataset_of_pictures_and_texts(tmp_path, format_):
    long = "x" * 90 + "/" + "k" * 90 + "ü" * (format_ == tarfile.PAX_FORMAT)
    write_tar(
        tmp_path / "a-000.tar",
        [
            ("0.jpg", picture(0)),
            ("0.txt", b"Glands."),
            (f"{long}.jpg", picture(1)),
            (f"{long}.txt", b"Fat."),
            ("2.txt", b"No picture."),
            ("3.png", picture(3, format_="PNG")),
        ],
        format_,
    )
    write_tar(tmp_path / "a-001.tar", [("0.txt", b"Other."), ("0.jpg", picture(5))])
    samples, images = read_all(config("webdataset", tmp_path), tmp_path / "out", unit_rows=2)
    assert fates(samples) == [
        None, None, "unreadable:missing_image", "unreadable:missing_text", None,
    ]  # fmt: skip
    assert [s["caption"] for s in samples] == ["Glands.", "Fat.", "No picture.", "", "Other."]
    assert images["webdataset/a-000/0.jpg"]["data"] == picture(0)
    assert images["webdataset/a-001/0.jpg"]["data"] == picture(5)


def test_webdataset_with_json_and_a_cut(tmp_path):
    side = json.dumps({"caption": "Glands.", "group": "g1", "license": "CC0"}).encode()
    members = [(f"{i}.{e}", d) for i in range(3) for e, d in (("jpg", picture(i)), ("json", side))]
    write_tar(tmp_path / "a.tar", members)
    data = (tmp_path / "a.tar").read_bytes()
    cut = data.index(b"2.jpg") + 700
    (tmp_path / "a.tar").write_bytes(data[:cut])
    samples, _ = read_all(config("webdataset", tmp_path, text="json"), tmp_path / "out")
    assert fates(samples) == [None, None, "unreadable:truncated_tar"]
    assert (samples[0]["group"], samples[0]["license"]) == ("g1", "CC0")


ROWS = [
    {
        "image": {"bytes": picture(i // 2), "path": "x.jpg"},
        "caption": f"Glands {i}.",
        "organ": "colon",
    }
    for i in range(6)
]


def test_hf_parquet_groups_rows_by_the_content_of_pictures(tmp_path):
    (tmp_path / "data").mkdir()
    path = tmp_path / "data" / "train-00000-of-00001.parquet"
    pq.write_table(image_table([*ROWS[::2], *ROWS[1::2]]), path, row_group_size=2)
    pq.write_table(image_table(ROWS[:1]), tmp_path / "data" / "test-00000-of-00001.parquet")
    samples, images = read_all(config("hf", tmp_path), tmp_path / "out", unit_rows=2)
    assert fates(samples) == [None] * 6
    assert len(images) == 3
    assert samples[0]["image_id"] == samples[3]["image_id"]
    assert json.loads(samples[0]["meta"]) == {"organ": "colon"}


def test_hf_saved_to_disk_and_missing_pictures(tmp_path):
    rows = [
        *ROWS,
        {"image": None, "caption": "None."},
        {"image": ROWS[0]["image"], "caption": None},
    ]
    features = datasets.Features({"image": datasets.Image(), "caption": datasets.Value("string")})
    columns = {k: [r[k] for r in rows] for k in ("image", "caption")}
    saved = datasets.Dataset.from_dict(columns, features=features)
    datasets.DatasetDict({"train": saved}).save_to_disk(str(tmp_path / "saved"))
    samples, images = read_all(config("hf", tmp_path / "saved"), tmp_path / "out", unit_rows=3)
    assert fates(samples) == [None] * 6 + ["unreadable:missing_image", "no_entity:empty_caption"]
    assert {i["data"] for i in images.values()} == {picture(0), picture(1), picture(2), None}
    with pytest.raises(Refused, match="no split 'val'"):
        read_all(config("hf", tmp_path / "saved", split="val"), tmp_path / "out2")


@pytest.mark.parametrize("named", [True, False])
def test_hf_paths_are_read_where_pictures_may_lie(tmp_path, named):
    write_images(tmp_path / "tiles/deep", ["0.jpg"])
    write_images(tmp_path / "tiles", ["1.jpg"])
    write_images(tmp_path, ["secret.jpg"])
    paths = ["tiles/deep/0.jpg", "tiles/1.jpg", "tiles/gone.jpg", "tiles/../secret.jpg"]
    cells = [{"bytes": None, "path": f"{tmp_path}/{path}"} for path in paths]
    cells += [{"bytes": None, "path": path} for path in ("deep/0.jpg", "../secret.jpg")]
    (tmp_path / "corpus").mkdir()
    rows = [{"image": cell, "caption": "Fat."} for cell in cells]
    pq.write_table(image_table(rows), tmp_path / "corpus/a.parquet")
    more = {"image_paths": [str(tmp_path / "tiles")]} if named else {}
    samples, images = read_all(config("hf", tmp_path / "corpus", **more), tmp_path / "out")
    outside, missing = "unreadable:outside_folder", "unreadable:missing_image"
    assert fates(samples) == (
        [None, None, missing, outside, None, outside]
        if named
        else [outside] * 4 + [missing, outside]
    )
    assert sum(image["data"] is not None for image in images.values()) == (2 if named else 0)
    assert not any(str(tmp_path) in json.dumps(s["image"]) for s in samples)  # no path enters


def test_hf_refuses_a_folder_of_pictures_that_is_not_there(tmp_path):
    row = {"image": {"bytes": picture(1), "path": "0.jpg"}, "caption": "Fat."}
    pq.write_table(image_table([row]), tmp_path / "a.parquet")
    with pytest.raises(Refused, match=r"corpora\.hf\.image_paths: .*/gone: no such folder"):
        read_all(config("hf", tmp_path, image_paths=["/gone"]), tmp_path / "out")


def test_hf_refuses_what_is_not_there(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(Refused, match=r"corpora\.hf\.path: .*no such files or data set"):
        read_all(config("hf", tmp_path / "nowhere"), tmp_path / "out")
    pq.write_table(image_table(ROWS), tmp_path / "a.parquet")
    with pytest.raises(Refused, match=r"no column 'text' \(hf\); has: image, caption, organ"):
        read_all(config("hf", tmp_path, caption="text"), tmp_path / "out")


TABLE = [
    {"file": "sub/a.jpg", "text": "Glands.", "case": 1},
    {"file": "b.jpg", "text": "Fat.", "case": 1},
    {"file": "b.jpg", "text": "Stroma.", "case": 2},
    {"file": "c.jpg", "text": None, "case": 3},
    {"file": "../x.jpg", "text": "Outside.", "case": 3},
]


def write_table(path):
    columns = list(TABLE[0])
    if path.suffix in (".csv", ".tsv"):
        sep = "," if path.suffix == ".csv" else "\t"
        lines = [sep.join(columns), *(sep.join(str(r[c] or "") for c in columns) for r in TABLE)]
        path.write_text("\n".join(lines))
    elif path.suffix == ".parquet":
        import pyarrow as pa

        pq.write_table(pa.Table.from_pylist(TABLE), path, row_group_size=2)
    elif path.suffix == ".json":
        path.write_text(json.dumps(TABLE))
    else:
        path.write_text("\n".join(json.dumps(r) for r in TABLE))


@pytest.mark.parametrize("suffix", ["csv", "tsv", "json", "jsonl", "parquet"])
def test_tables_with_two_named_columns(tmp_path, suffix):
    write_table(tmp_path / f"t.{suffix}")
    write_images(tmp_path / "images" / "sub", ["a.jpg"])
    write_zip(tmp_path / "more.zip", {"any/b.jpg": picture(2)})
    corpus = config("table", tmp_path / f"t.{suffix}", image="file", caption="text", group="case")
    samples, _ = read_all(corpus, tmp_path / "out", unit_rows=2)
    assert fates(samples) == [
        None, None, None, "no_entity:empty_caption", "unreadable:bad_name",
    ]  # fmt: skip
    assert [s["group"] for s in samples] == ["1", "1", "2", "3", "3"]


def test_tables_are_refused_with_what_they_have(tmp_path):
    write_table(tmp_path / "t.csv")
    with pytest.raises(
        Refused,
        match=r"t\.csv: no column 'image' and no column 'caption' \(table\); has: file, text, "
        r"case; name them: --set corpora\.table\.image=COLUMN "
        r"--set corpora\.table\.caption=COLUMN$",
    ):
        read_all(config("table", tmp_path), tmp_path / "out")
    (tmp_path / "t.parquet").write_bytes(b"nothing")
    with pytest.raises(Refused, match=r"t\.parquet: not parquet"):
        read_all(config("table", tmp_path / "t.parquet"), tmp_path / "out")
    (tmp_path / "t.xls").write_bytes(b"nothing")
    with pytest.raises(Refused, match=r"expected one of \*\.csv"):
        read_all(config("table", tmp_path / "t.xls"), tmp_path / "out")
