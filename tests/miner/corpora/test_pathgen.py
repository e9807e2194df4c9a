import io
import json

import numpy as np
import pytest
import tifffile
from PIL import Image

from miner.core.errors import Refused
from miner.core.pixels import decode
from miner.corpora import slides
from miner.corpora.slides import slide_mpp
from tests.miner.corpora.layouts import (
    config,
    fates,
    pathgen_record,
    picture,
    read_all,
    write_json,
    write_slide,
)

A = "TCGA-AA-0001-01Z-00-DX1.6E84"
B = "other.slide"


def test_patches_are_the_slides_pixels(tmp_path):
    pixels = write_slide(tmp_path / "slides" / f"{A}.tif", mpp=0.25)
    records = [
        {"WSI_id": A, "position": ["64", 128], "caption": "Tumor cells."},  # as in the sample
        pathgen_record(A, "1024.0", 1376),
    ]
    write_json(tmp_path / "PathGen-1.6M.json", records)
    samples, images = read_all(config("pathgen", tmp_path), tmp_path / "out")
    assert fates(samples) == [None, None]
    assert [s["image"] for s in samples] == [f"{A}_64_128", f"{A}_1024_1376"]
    assert {s["group"] for s in samples} == {"TCGA-AA-0001"}
    image = images[f"pathgen/{A}_64_128"]
    assert np.array_equal(decode(image["data"]), pixels[128:800, 64:736])
    assert (image["width"], image["height"], image["format"]) == (672, 672, "png")
    assert image["mpp"] == pytest.approx(0.25)
    assert image["mpp_source"] == "slide"


def test_jpeg_patches_and_other_sizes(tmp_path):
    write_slide(tmp_path / f"{B}.tif")
    write_json(tmp_path / "PathGen-1.6M.json", [pathgen_record(B, 0, 0)])
    corpus = config("pathgen", tmp_path, patch_px=256, patch_format="jpg", patch_quality=90)
    samples, images = read_all(corpus, tmp_path / "out")
    (image,) = images.values()
    assert samples[0]["group"] == B
    with Image.open(io.BytesIO(image["data"])) as stored:
        assert (stored.size, stored.format) == ((256, 256), "JPEG")


def test_slides_nested_under_file_id(tmp_path):
    write_slide(tmp_path / "wsi" / f"file-{A}" / f"{A}.tiff")
    write_json(tmp_path / "PathGen-1.6M.json", [pathgen_record(A, 0, 0)])
    corpus = config("pathgen", tmp_path, slide_paths=["wsi"])
    assert fates(read_all(corpus, tmp_path / "out")[0]) == [None]


def test_each_slide_is_opened_once_a_unit(tmp_path, monkeypatch):
    for name in (A, B):
        write_slide(tmp_path / "slides" / f"{name}.tif")
    records = [pathgen_record((A, B)[i % 2], 32 * (7 - i), 64 * i) for i in range(8)]
    write_json(tmp_path / "PathGen-1.6M.json", records)
    opened = []
    whole = slides.Slide.__init__
    monkeypatch.setattr(
        slides.Slide, "__init__", lambda self, f: opened.append(f.path()) or whole(self, f)
    )
    samples, _ = read_all(config("pathgen", tmp_path), tmp_path / "out", unit_rows=4)
    assert fates(samples) == [None] * 8
    assert len(opened) == 2  # two units, a slide each


def test_bad_records_and_regions(tmp_path):
    write_slide(tmp_path / "slides" / f"{A}.tif", white=(672, 0))
    (tmp_path / "slides" / f"{B}.tif").write_bytes(b"II*\0 no slide")
    records = [
        pathgen_record(A, 0, 0),
        pathgen_record(A, 672, 0),
        pathgen_record(A, -1, 0),
        pathgen_record(A, 1400, 0),
        pathgen_record(A, 10**12, 0),
        pathgen_record(B, 0, 0),
        pathgen_record("gone", 0, 0),
        pathgen_record(A, "x", 0),
        {"wsi_id": A, "caption": "No position."},
        {"position": ["0", "0"], "caption": "No slide."},
        pathgen_record("../" + A, 0, 0),
        pathgen_record(A, 0, 0, ""),
        pathgen_record(A, 0, 0, "Another caption."),
        pathgen_record(A, "nan", "inf"),
    ]
    write_json(tmp_path / "PathGen-1.6M.json", records)
    samples, images = read_all(config("pathgen", tmp_path), tmp_path / "out")
    assert fates(samples) == [
        None,
        "excluded:white_patch",
        "unreadable:outside_slide",
        "unreadable:outside_slide",
        "unreadable:outside_slide",
        "unreadable:slide_failed",
        "unreadable:missing_slide",
        "unreadable:bad_position",
        "unreadable:bad_position",
        "unreadable:no_wsi_id",
        "unreadable:bad_name",
        "no_entity:empty_caption",
        None,
        "unreadable:bad_position",
    ]
    assert sum(i["data"] is not None for i in images.values()) == 1


def test_a_slide_that_fails_while_it_is_read(tmp_path):
    path = tmp_path / "slides" / f"{A}.tif"
    write_slide(path)
    write_json(
        tmp_path / "PathGen-1.6M.json", [pathgen_record(A, 0, y) for y in (0, 1300, 100, 1376)]
    )
    data = bytearray(path.read_bytes())
    third = len(data) // 3
    data[2 * third : 2 * third + 20_000] = b"\xaa" * 20_000  # tiles in the lower part
    path.write_bytes(data)
    samples, _ = read_all(config("pathgen", tmp_path), tmp_path / "out")
    # Patches are read from top to bottom; what is above the damage is there.
    assert fates(samples) == [
        None, "unreadable:slide_failed", None, "unreadable:slide_failed",
    ]  # fmt: skip


def test_precut_patches_win(tmp_path):
    write_json(tmp_path / "PathGen-1.6M.json", [pathgen_record(A, 0, i) for i in range(3)])
    (tmp_path / "patches").mkdir()
    (tmp_path / "patches" / f"{A}_0_0.jpg").write_bytes(picture(3, (672, 672)))
    (tmp_path / "patches" / f"{A}_0_1.png").write_bytes(picture(4, (672, 672), "PNG"))
    samples, images = read_all(config("pathgen", tmp_path), tmp_path / "out")
    assert fates(samples) == [None, None, "unreadable:missing_slide"]
    assert images[f"pathgen/{A}_0_0"]["data"] == picture(3, (672, 672))
    assert images[f"pathgen/{A}_0_1"]["format"] == "png"
    assert images[f"pathgen/{A}_0_1"]["mpp_source"] == "none"


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ({"openslide.mpp-x": "0.5", "tiff.XResolution": "1"}, 0.5),
        ({"tiff.XResolution": "40000", "tiff.ResolutionUnit": "centimeter"}, 0.25),
        ({"tiff.XResolution": "50800", "tiff.ResolutionUnit": "inch"}, 0.5),
        ({"tiff.XResolution": "72", "tiff.ResolutionUnit": "inch"}, None),
        ({"openslide.mpp-x": "0"}, None),
        ({"tiff.XResolution": "0", "tiff.ResolutionUnit": "inch"}, None),
        ({}, None),
    ],
)
def test_mpp_of_slides(properties, expected):
    assert slide_mpp(properties) == expected


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ({"openslide.vendor": "hamamatsu", "hamamatsu.Product": "NanoZoomer"}, "NanoZoomer"),
        ({"openslide.vendor": "aperio"}, "aperio"),
        ({"openslide.vendor": "generic-tiff"}, None),
        ({}, None),
    ],
)
def test_scanner_of_slides(properties, expected):
    assert slides.scanner(properties) == expected


@pytest.mark.parametrize("unit_rows", [1, 3, 16])
def test_a_damaged_tile_costs_the_patches_that_touch_it(tmp_path, unit_rows):
    path = tmp_path / "slides" / f"{A}.tif"
    pixels = write_slide(path, size=1024)
    with tifffile.TiffFile(path) as tiff:
        at, length = tiff.pages[0].dataoffsets[5], tiff.pages[0].databytecounts[5]
    data = bytearray(path.read_bytes())
    data[at + 20 : at + length - 2] = bytes(length - 22)
    path.write_bytes(data)  # the tile from (256, 256) to (512, 512)
    corners = [(x, y) for y in (0, 200, 512, 768) for x in (0, 192, 512, 768)]
    write_json(tmp_path / "PathGen-1.6M.json", [pathgen_record(A, x, y) for x, y in corners])
    corpus = config("pathgen", tmp_path, patch_px=256)
    samples, images = read_all(corpus, tmp_path / "out", unit_rows)
    for (x, y), sample in zip(corners, samples, strict=True):
        touches = 0 < x < 512 and 0 < y < 512
        assert sample["reason"] == ("slide_failed" if touches else None)
        if not touches:
            patch = decode(images[sample["image_id"]]["data"])
            assert np.array_equal(patch, pixels[y : y + 256, x : x + 256])


def test_the_scanner_is_a_stratum(tmp_path, monkeypatch):
    monkeypatch.setattr(slides, "scanner", lambda properties: "GT450")
    write_slide(tmp_path / f"{A}.tif")
    write_json(tmp_path / "PathGen-1.6M.json", [pathgen_record(A, 0, 0)])
    (sample,) = read_all(config("pathgen", tmp_path), tmp_path / "out")[0]
    assert [s["value"] for s in sample["strata"] if s["dimension"] == "scanner"] == ["gt450"]


def test_planning_needs_no_slides(tmp_path):
    write_json(tmp_path / "PathGen-1.6M.json", [pathgen_record(A, 0, 0)])
    samples, _ = read_all(config("pathgen", tmp_path), tmp_path / "out")
    assert fates(samples) == ["unreadable:missing_slide"]
    assert json.loads(samples[0]["meta"])["wsi_id"] == A


def test_wrong_folders_are_refused(tmp_path):
    with pytest.raises(Refused, match=r"expected PathGen-1\.6M\.json, found no files"):
        read_all(config("pathgen", tmp_path), tmp_path / "out")
    write_json(tmp_path / "PathGen-1.6M.json", {})
    with pytest.raises(Refused, match=r'expected a JSON list of \{"wsi_id"'):
        read_all(config("pathgen", tmp_path), tmp_path / "out")
    corpus = config("pathgen", tmp_path, slide_paths=["nowhere"])
    with pytest.raises(Refused, match=r"corpora\.pathgen\.slide_paths: .*no such folder"):
        read_all(corpus, tmp_path / "out")
