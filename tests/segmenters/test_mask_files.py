"""Masks from files."""

import json

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco

from miner.core.errors import Refused
from segmenters.mask_files import MaskFilesConfig, MaskFilesSegmenter
from segmenters.protocol import Prompt

PICTURE = np.zeros((20, 30, 3), np.uint8)
GLAND = Prompt("gland", "object", ("glands",))
STROMA = Prompt("stroma", "stuff", ("stroma",))


def labels():
    values = np.zeros((20, 30), np.uint8)
    values[2:6, 3:9] = 1
    values[10:15, 12:20] = 2
    return values


@pytest.fixture
def folder(tmp_path):
    for place in ("quilt/a_image_1", "slide.1_0_32"):
        (tmp_path / place).mkdir(parents=True)
        Image.fromarray(labels()).save(tmp_path / place / "glands.png")
    Image.fromarray(labels()).save(tmp_path / "quilt/a_image_1/tissue_1.png")
    return tmp_path


def ask(segmenter, image_id, picture=PICTURE):
    return segmenter.segment(segmenter.encode_named(image_id, picture, None), [GLAND, STROMA])


def test_label_maps_by_name(folder):
    config = MaskFilesConfig(path=str(folder), concepts={"tissue_1": "stroma"})
    segmenter = MaskFilesSegmenter(config)
    gland, stroma = ask(segmenter, "quilt/a_image_1.jpg")
    assert (gland.labels == labels()).all()
    assert (stroma.mask == (labels() > 0)).all()
    assert stroma.labels is None
    by_slide, none = ask(segmenter, "pathgen/slide.1_0_32")
    assert by_slide.mask.any()
    assert (none.mask, none.reason) == (None, "empty")
    assert ask(segmenter, "quilt/unknown.jpg")[0].reason == "empty"
    assert not segmenter.supports("nucleus")


def test_coco_compressed_uncompressed_and_polygons(tmp_path):
    one = (labels() == 1).astype(np.uint8)
    packed = coco.encode(np.asfortranarray(one))
    packed["counts"] = packed["counts"].decode()
    flat = (labels() == 2).ravel(order="F")
    edges = np.flatnonzero(np.diff(np.concatenate(([0], flat, [0]))))
    runs = np.diff(np.concatenate(([0], edges, [600])))
    content = {
        "images": [{"id": 1, "file_name": "a.jpg"}],
        "categories": [{"id": 5, "name": "gland"}, {"id": 6, "name": "Stroma"}],
        "annotations": [
            {"image_id": 1, "category_id": 5, "segmentation": packed},
            {
                "image_id": 1,
                "category_id": 5,
                "segmentation": {"size": [20, 30], "counts": runs.tolist()},
            },
            {
                "image_id": 1,
                "category_id": 6,
                "segmentation": [[3, 2, 9, 2, 9, 6, 3, 6], [0, 18, 2, 18, 2, 20, 0, 20]],
            },
        ],
    }
    path = tmp_path / "masks.json"
    path.write_text(json.dumps(content))
    gland, stroma = ask(MaskFilesSegmenter(MaskFilesConfig(path=str(path))), "pathcap/a.jpg")
    assert (gland.labels == labels()).all()
    assert stroma.mask[2:6, 3:9].all()
    assert stroma.mask[18:, :2].all()


SQUARE = [3, 2, 9, 2, 9, 6, 3, 6]
SHAPE = np.zeros((20, 30), bool)
SHAPE[2:6, 3:9] = True


def runs_of(mask):
    flat = np.concatenate(([0], mask.ravel(order="F"), [0]))
    return np.diff(np.concatenate(([0], np.flatnonzero(np.diff(flat)), [mask.size]))).tolist()


def coco_file(tmp_path, segmentation, image=None, **more):
    """A gland that is `segmentation` and, each in its own annotation, a good gland and stroma."""
    image = {"id": 1, "file_name": "a.jpg"} | (image or {})
    good = [0, 10, 5, 10, 5, 15, 0, 15]
    content = {
        "images": [image, "nonsense", {"file_name": "no id"}],
        "categories": [{"id": 5, "name": "gland"}, {"id": 6, "name": "stroma"}, None],
        "annotations": [
            {"image_id": 1, "category_id": 5, "segmentation": segmentation} | more,
            {"image_id": 1, "category_id": 6, "segmentation": [good]},
            {"image_id": 9, "category_id": 5, "segmentation": [good]},
            {"image_id": 1, "category_id": 9, "segmentation": [good]},
            {"segmentation": [good]},
            "nonsense",
        ],
    }
    path = tmp_path / "masks.json"
    path.write_text(json.dumps(content))
    return MaskFilesSegmenter(MaskFilesConfig(path=str(path)))


NO_OUTLINE = {
    "none": [],
    "an empty polygon": [[]],
    "null": None,
    "a rectangle": [[15, 15, 16, 16]],
    "four numbers": [15, 15, 16, 16],
    "text": "x",
    "a number": 7,
    "polygons of text": [["a", "b", "c", "d", "e", "f"]],
    "an odd number of numbers": [[*SQUARE, 1]],
    "not a number": [[*SQUARE[:-1], float("nan")]],
    "far away": [[*SQUARE[:-1], 1e300]],
    "truth values": [[True, False] * 4],
    "an object": {},
    "run lengths without a size": {"counts": [600]},
    "run lengths that are short": {"size": [20, 30], "counts": [10, 20]},
    "run lengths that are long": {"size": [20, 30], "counts": [10, 2**40]},
    "negative run lengths": {"size": [20, 30], "counts": [610, -10]},
    "run lengths of text": {"size": [20, 30], "counts": "?!"},
    "compressed, but short": {"size": [20, 30], "counts": "10"},
    "a huge size": {"size": [2**20, 2**20], "counts": [2**40]},
    "no size": {"size": [0, 0], "counts": []},
}


@pytest.mark.parametrize("name", NO_OUTLINE)
def test_an_annotation_without_an_outline_costs_itself(tmp_path, name):
    segmenter = coco_file(tmp_path, NO_OUTLINE[name], bbox=[15, 15, 2, 2])
    gland, stroma = ask(segmenter, "pairs/a.jpg")
    assert (gland.mask, gland.reason) == (None, "no_outline")
    assert stroma.mask[10:15, :5].all()


OUTLINES = {
    "a ring": [SQUARE],
    "a ring beside two points": [SQUARE, [1, 1, 2, 2]],
    "a flat ring": SQUARE,
    "a ring of points": [[[3, 2], [9, 2], [9, 6], [3, 6]]],
    "run lengths": {"size": [20, 30], "counts": runs_of(SHAPE)},
}


@pytest.mark.parametrize("name", OUTLINES)
@pytest.mark.parametrize("crowd", [0, 1])
def test_outlines_as_tools_write_them(tmp_path, name, crowd):
    gland, _ = ask(coco_file(tmp_path, OUTLINES[name], iscrowd=crowd), "pairs/a.jpg")
    assert np.array_equal(gland.mask, SHAPE)
    # Nobody told the objects of a crowd apart: it must not count as one.
    assert (gland.labels is None) == bool(crowd)


def test_outlines_of_a_stated_size_are_scaled(tmp_path):
    double = SHAPE.repeat(2, 0).repeat(2, 1)
    stated = {"height": 40, "width": 60}
    twice = [[2 * value for value in SQUARE]]
    for segmentation in (twice, {"size": [40, 60], "counts": runs_of(double)}):
        gland, _ = ask(coco_file(tmp_path, segmentation, stated), "pairs/a.jpg")
        assert np.array_equal(gland.mask, SHAPE)
    larger = np.zeros((40, 60, 3), np.uint8)
    stated = {"height": 20, "width": 30}
    for segmentation in ([SQUARE], {"size": [20, 30], "counts": runs_of(SHAPE)}):
        gland, _ = ask(coco_file(tmp_path, segmentation, stated), "pairs/a.jpg", larger)
        assert np.array_equal(gland.mask, double)


ANOTHER_SIZE = {
    "polygons that reach beyond": ([[30, 20, 55, 20, 55, 35]], {}),
    "run lengths": ({"size": [40, 60], "counts": [2400]}, {}),
    "run lengths turned": ({"size": [30, 20], "counts": [600]}, {}),
    "a stated size of another shape": ([SQUARE], {"height": 30, "width": 20}),
    "run lengths beside another stated size": (
        {"size": [40, 60], "counts": [2400]}, {"height": 20, "width": 30}),
    "polygons far beyond the stated size": (
        [[0, 0, 900, 0, 900, 900]], {"height": 20, "width": 30}),
}  # fmt: skip


@pytest.mark.parametrize("name", ANOTHER_SIZE)
def test_outlines_of_another_size_are_refused(tmp_path, name):
    segmentation, stated = ANOTHER_SIZE[name]
    gland, _ = ask(coco_file(tmp_path, segmentation, stated), "pairs/a.jpg")
    assert (gland.mask, gland.reason) == (None, "another_size")


@pytest.mark.parametrize(
    "name",
    ["a.jpg", "./a.jpg", "images/train/a.jpg", "/data/x/a.jpg", "C:\\x\\a.jpg", "pairs/a.jpg"],
)
def test_file_names_with_folders(tmp_path, name):
    segmenter = coco_file(tmp_path, [SQUARE], {"file_name": name})
    assert np.array_equal(ask(segmenter, "pairs/a.jpg")[0].mask, SHAPE)
    assert ask(segmenter, "pairs/b.jpg")[0].reason == "empty"
    assert ask(segmenter, "pairs/other/a.jpg")[0].reason == "empty"


def test_letters_of_names_may_be_composed_in_either_way(tmp_path):
    segmenter = coco_file(tmp_path, [SQUARE], {"file_name": "e\u0301.jpg"})
    assert ask(segmenter, "pairs/\u00e9.jpg")[0].mask.any()


def test_pictures_of_one_name_in_two_folders_are_not_mixed_up(tmp_path):
    squares = [[[x, 2, x + 4, 2, x + 4, 6, x, 6]] for x in (3, 9, 15)]
    content = {
        "images": [{"id": i, "file_name": f"{f}/a.jpg"} for i, f in enumerate(("x", "y", "z/x"))],
        "categories": [{"id": 5, "name": "gland"}],
        "annotations": [
            {"image_id": i, "category_id": 5, "segmentation": squares[i]} for i in range(3)
        ],
    }
    (tmp_path / "masks.json").write_text(json.dumps(content))
    segmenter = MaskFilesSegmenter(MaskFilesConfig(path=str(tmp_path / "masks.json")))
    found = {n: ask(segmenter, f"table/{n}")[0] for n in ("x/a.jpg", "y/a.jpg", "a.jpg")}
    assert found["x/a.jpg"].mask[3, 4]
    assert found["y/a.jpg"].mask[3, 10]
    assert (found["a.jpg"].mask, found["a.jpg"].reason) == (None, "ambiguous_name")


def test_a_label_map_that_cannot_be_used_costs_itself(folder):
    for place in ("quilt/a_image_1", "slide.1_0_32"):
        (folder / place / "stroma.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
        (folder / place / "._glands.png").write_bytes(b"AppleDouble")
    segmenter = MaskFilesSegmenter(MaskFilesConfig(path=str(folder)))
    gland, stroma = ask(segmenter, "quilt/a_image_1.jpg")
    assert (gland.labels == labels()).all()
    assert (stroma.mask, stroma.reason) == (None, "unreadable_mask")
    gland, _ = ask(segmenter, "quilt/a_image_1.jpg", np.zeros((5, 5, 3), np.uint8))
    assert (gland.mask, gland.reason) == (None, "another_size")


@pytest.mark.parametrize(
    "content", ["no json", "[]", '{"images": []}', "[" * 5000, '{"images": 1}']
)
def test_bad_files_are_refused(tmp_path, content):
    path = tmp_path / "masks.json"
    path.write_text(content)
    for where in (path, tmp_path / "none", tmp_path):
        with pytest.raises(Refused, match=r"mask-files\.path"):
            MaskFilesSegmenter(MaskFilesConfig(path=str(where)))
