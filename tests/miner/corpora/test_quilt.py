import json
import struct
import zipfile

import pytest

from miner.core.errors import Refused
from miner.core.store import Store
from miner.corpora.quilt import MAX_REPR_CHARS, parse_repr
from tests.miner.corpora.layouts import (
    QUILT_COLUMNS,
    config,
    fates,
    picture,
    quilt_row,
    read_all,
    write_images,
    write_quilt,
    write_zip,
)


def test_rows_carry_what_the_publisher_says(tmp_path):
    name = "-abc_image_1.jpg"
    write_quilt(tmp_path, [quilt_row(7, caption="Caption, as published ", image_path=name)])
    write_images(tmp_path / "images", [name])
    samples, images = read_all(config("quilt", tmp_path), tmp_path / "out")
    (sample,) = samples
    assert sample["sample_id"].startswith("quilt-00000000-")
    assert sample["caption"] == "Caption, as published "
    assert (sample["image"], sample["group"]) == (name, "-abc")
    assert sample["source"] == "QUILT-1M quilt"
    assert json.loads(sample["meta"]) == {
        "subset": "quilt",
        "split": "train",
        "pathology": ["Gastrointestinal"],
        "roi_text": ["tumor cells"],
        "noisy_text": ["tumor cells"],
        "corrected_text": ["it's tumor cells"],
        "med_umls_ids": ["Neoplasms", "Cell"],
        "magnification": "high",
        "not_histology": False,
        "single_wsi": True,
    }
    image = images[f"quilt/{name}"]
    assert image["data"] == picture(0)
    assert (image["width"], image["height"], image["format"]) == (40, 30, "jpg")
    assert (image["mpp"], image["mpp_source"]) == (None, "none")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_optional_columns_and_empty_cells(tmp_path, encoding):
    side = dict.fromkeys(
        ("pathology", "roi_text", "noisy_text", "corrected_text", "med_umls_ids", "magnification"),
        "",
    )
    row = quilt_row(0, **side, height="nan", not_histology="")[:-2]
    write_quilt(tmp_path, [row], QUILT_COLUMNS[:-2], encoding)
    write_images(tmp_path / "images", ["vid0_image_0.jpg"])
    samples, _ = read_all(config("quilt", tmp_path), tmp_path / "out")
    assert fates(samples) == [None]
    assert json.loads(samples[0]["meta"]) == {"subset": "quilt", "split": "train"}


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("['a', ' b']", ["a", "b"]),
        ("Renal", ["Renal"]),
        ("nan", []),
        ("", []),
        ("[[{'entity': 'Cell'}], [{'cui': 'C1'}]]", ["Cell"]),
        ("[nan, 'a']", []),  # no literal
        ("[None, 'a']", ["a"]),
        ("__import__('os').getcwd()", ["__import__('os').getcwd()"]),
        ("[" * 5000, []),
        ("['" + "x" * MAX_REPR_CHARS + "']", []),
        ("['a\0b']", ["ab"]),
        ("['broken", []),
    ],
)
def test_cells_with_reprs(cell, expected):
    assert parse_repr(cell) == expected


def test_a_picture_with_several_captions_lies_in_one_unit(tmp_path):
    names = [f"v_image_{i % 5}.jpg" for i in range(15)]
    write_quilt(tmp_path, [quilt_row(i, image_path=n) for i, n in enumerate(names)])
    write_images(tmp_path / "images", sorted(set(names)))
    samples, images = read_all(config("quilt", tmp_path), tmp_path / "out", unit_rows=4)
    assert fates(samples) == [None] * 15  # read_all asserts that no picture lies in two units
    assert len(images) == 5


def test_pictures_in_zips_one_folder_deep(tmp_path):
    write_quilt(tmp_path, [quilt_row(i) for i in range(4)])
    names = [f"vid{i}_image_{i}.jpg" for i in range(4)]
    write_zip(tmp_path / "a.zip", {f"quilt_1m/{n}": picture(i) for i, n in enumerate(names[:2])})
    deflated = {names[2]: picture(2)}
    write_zip(tmp_path / "b.zip", deflated, zipfile.ZIP_DEFLATED)
    samples, images = read_all(config("quilt", tmp_path), tmp_path / "out")
    assert fates(samples) == [None, None, None, "unreadable:missing_image"]
    assert images[f"quilt/{names[2]}"]["data"] == picture(2)


def test_bad_members_cost_their_rows_only(tmp_path):
    names = [f"vid{i}_image_{i}.jpg" for i in range(6)]
    write_quilt(tmp_path, [quilt_row(i) for i in range(6)])
    path = tmp_path / "images.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for i, name in enumerate(names[:5]):
            archive.writestr(f"d/{name}", picture(i))
        archive.writestr(f"e/{names[3]}", picture(3))  # the same picture twice
        archive.writestr(f"e/{names[4]}", picture(99))  # another picture of that name
        archive.writestr(f"e/{names[5]}", b"")
        encrypted = archive.getinfo(f"d/{names[1]}")
        broken = archive.getinfo(f"d/{names[2]}")
        directory = archive.start_dir
    data = bytearray(path.read_bytes())
    data[broken.header_offset + 60] ^= 0xFF
    at = data.index(encrypted.filename.encode(), directory) - 46
    flags = struct.unpack_from("<H", data, at + 8)[0]
    struct.pack_into("<H", data, at + 8, flags | 1)
    path.write_bytes(data)
    samples, _ = read_all(config("quilt", tmp_path), tmp_path / "out")
    assert fates(samples) == [
        None,
        "unreadable:encrypted_member",
        "unreadable:crc_error",
        None,
        "unreadable:ambiguous_name",
        "unreadable:empty_file",
    ]


def test_zip64_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 100)
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 2)
    names = [f"vid{i}_image_{i}.jpg" for i in range(4)]
    write_quilt(tmp_path, [quilt_row(i) for i in range(4)])
    write_zip(tmp_path / "images.zip", {f"d/{n}": picture(i) for i, n in enumerate(names)})
    assert b"PK\x06\x06" in (tmp_path / "images.zip").read_bytes()
    samples, _ = read_all(config("quilt", tmp_path), tmp_path / "out")
    assert fates(samples) == [None] * 4


def test_a_zip_cut_short_is_refused_in_one_line(tmp_path):
    write_quilt(tmp_path, [quilt_row(0)])
    write_zip(tmp_path / "images.zip", {"vid0_image_0.jpg": picture()})
    data = (tmp_path / "images.zip").read_bytes()
    (tmp_path / "images.zip").write_bytes(data[:-40])
    with pytest.raises(Refused, match=r"images\.zip: not a whole zip .* cut short\?$"):
        read_all(config("quilt", tmp_path), tmp_path / "out")


def test_the_index_of_a_zip_is_built_once(tmp_path, monkeypatch):
    write_quilt(tmp_path, [quilt_row(0)])
    write_zip(tmp_path / "images.zip", {"vid0_image_0.jpg": picture()})
    read_all(config("quilt", tmp_path), tmp_path / "out")
    monkeypatch.setattr("miner.corpora.archive.build_index", None)
    samples, _ = read_all(config("quilt", tmp_path), tmp_path / "out")
    assert fates(samples) == [None]


def test_broken_rows_become_ledger_rows(tmp_path):
    good = quilt_row(0)
    write_quilt(
        tmp_path,
        [
            good,
            quilt_row(1, caption=""),
            quilt_row(2, caption="nan"),
            quilt_row(3)[:6],
            [*quilt_row(4), "more"],
            quilt_row(5, not_histology="1.0"),
            quilt_row(6, image_path="../../etc/passwd"),
            quilt_row(7, image_path=""),
            quilt_row(8, caption="x" * 5_000_000),
            quilt_row(9, roi_text="['" + "x" * 5_000_000 + "']"),
            quilt_row(10, caption="a\0b"),
        ],
    )
    with open(tmp_path / "quilt_1M_lookup.csv", "ab") as file:
        row = b",".join(str(c).encode() for c in quilt_row(11, med_umls_ids="", corrected_text=""))
        file.write(row.replace(b"Tumor cells", b"Tumor \xff cells") + b"\r\n\r\n")
    write_images(tmp_path / "images", [f"vid{i}_image_{i}.jpg" for i in range(12)])
    samples, _ = read_all(config("quilt", tmp_path), tmp_path / "out")
    assert fates(samples) == [
        None,
        "no_entity:empty_caption",
        "no_entity:empty_caption",
        "unreadable:wrong_number_of_fields",
        "unreadable:wrong_number_of_fields",
        "excluded:not_histology",
        "unreadable:missing_image",
        "unreadable:bad_name",
        "excluded:caption_too_long",
        None,
        None,
        "unreadable:bad_utf8",
    ]
    assert samples[10]["caption"] == "a b"


def test_quiltcleaner_flags_exclude_as_configured(tmp_path):
    write_quilt(tmp_path, [quilt_row(i) for i in range(4)])
    names = [f"vid{i}_image_{i}.jpg" for i in range(4)]
    write_images(tmp_path / "images", names)
    (tmp_path / "predictions_quiltcleaner.csv").write_text(
        "Filename,Persons/Photos,Text/Logo in Image,Any impairment\n"
        f"{names[0]},1,0,1\nimages/{names[1]},0.0,1.0,1.0\n{names[2]},0,0,0\n"
    )
    cleaner = {"cleaner_path": "predictions_quiltcleaner.csv"}
    corpus = config("quilt", tmp_path, **cleaner, exclude_flags=["Persons/Photos"])
    samples, _ = read_all(corpus, tmp_path / "out")
    assert fates(samples) == ["excluded:impurity:Persons/Photos", None, None, None]
    metas = [json.loads(s["meta"]).get("impurities") for s in samples]
    assert metas == [
        ["Any impairment", "Persons/Photos"],
        ["Any impairment", "Text/Logo in Image"],
        [],
        None,  # not in the file
    ]


def test_an_unknown_impurity_flag_is_refused(tmp_path):
    write_quilt(tmp_path, [quilt_row(0)])
    (tmp_path / "c.csv").write_text("Filename,Persons/Photos\na.jpg,1\n")
    corpus = config("quilt", tmp_path, cleaner_path="c.csv", exclude_flags=["Arrows"])
    with pytest.raises(Refused, match=r"exclude_flags.*'Arrows'.*has: Persons/Photos"):
        read_all(corpus, tmp_path / "out")


def test_magnification_gives_mpp_only_where_configured(tmp_path):
    write_quilt(tmp_path, [quilt_row(0, magnification="0.0"), quilt_row(1)])
    write_images(tmp_path / "images", ["vid0_image_0.jpg", "vid1_image_1.jpg"])
    corpus = config("quilt", tmp_path, magnification_mpp={"high": 0.25}, assumed_mpp=1.0)
    _, images = read_all(corpus, tmp_path / "out")
    assert [(i["mpp"], i["mpp_source"]) for i in images.values()] == [
        (1.0, "assumed"),
        (0.25, "magnification"),
    ]


def test_names_that_differ_in_case_are_different_names(tmp_path):
    write_quilt(tmp_path, [quilt_row(0, image_path="A_image_1.jpg"), quilt_row(1)])
    write_images(tmp_path / "images", ["a_image_1.jpg", "vid1_image_1.jpg"])
    samples, _ = read_all(config("quilt", tmp_path), tmp_path / "out")
    assert fates(samples) == ["unreadable:missing_image", None]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: None, r"corpora\.quilt\.path: .*: no such file or folder"),
        (lambda p: p.mkdir(), r"expected quilt_1M_lookup\.csv, found no files"),
        (lambda p: write_images(p, ["a.jpg"]), r"expected quilt_1M_lookup\.csv, found a\.jpg"),
        (
            lambda p: write_quilt(p, [["x"]], ["text"]),
            r"no column 'caption' and no column 'image_path' \(QUILT-1M\); has: text$",
        ),
        (lambda p: write_quilt(p, []), r"no rows in quilt_1M_lookup\.csv"),
    ],
)
def test_wrong_folders_are_refused_in_one_line(tmp_path, make, message):
    make(tmp_path / "c")
    with pytest.raises(Refused, match=message) as error:
        read_all(config("quilt", tmp_path / "c"), tmp_path / "out")
    assert "\n" not in str(error.value)


def test_a_configured_place_that_is_missing_is_refused(tmp_path):
    write_quilt(tmp_path, [quilt_row(0)])
    with pytest.raises(Refused, match=r"corpora\.quilt\.image_paths: .*nowhere: no such"):
        read_all(config("quilt", tmp_path, image_paths=["nowhere"]), tmp_path / "out")


def test_neither_path_nor_place_of_the_pictures_shows(tmp_path):
    results = []
    for place in ("one", "two"):
        folder = tmp_path / place
        write_quilt(folder, [quilt_row(i) for i in range(5)])
        names = [f"vid{i}_image_{i}.jpg" for i in range(5)]
        if place == "one":
            write_images(folder / "images" / "deeper", names)
        else:
            pictures = {n: picture(i) for i, n in enumerate(names)}
            write_zip(folder / "z.zip", {f"x/{n}": d for n, d in pictures.items()})
        results.append(read_all(config("quilt", folder), tmp_path / f"out-{place}"))
    assert results[0] == results[1]


def test_a_damaged_index_of_a_zip_is_made_anew(tmp_path):
    names = [f"vid{i}_image_{i}.jpg" for i in range(5)]
    write_quilt(tmp_path / "q", [quilt_row(i) for i in range(5)])
    write_zip(tmp_path / "q/z.zip", {f"x/{n}": picture(i) for i, n in enumerate(names)})
    first = read_all(config("quilt", tmp_path / "q"), tmp_path / "out")
    (index,) = (tmp_path / "out/plan").rglob("*.npy")
    whole = index.read_bytes()
    for place in range(0, len(whole), 17):
        index.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        assert read_all(config("quilt", tmp_path / "q"), tmp_path / "out") == first
        assert index.read_bytes() == whole
    index.unlink()
    assert read_all(config("quilt", tmp_path / "q"), tmp_path / "out") == first


def test_plan_holds_no_path(tmp_path):
    write_quilt(tmp_path / "secret-place", [quilt_row(0)])
    write_images(tmp_path / "secret-place" / "images", ["vid0_image_0.jpg"])
    read_all(config("quilt", tmp_path / "secret-place"), tmp_path / "out")
    store = Store(str(tmp_path / "out"))
    for file in store.fs.find(store.path("plan")):
        assert b"secret-place" not in store.fs.cat_file(file)
