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


def test_masks_of_another_size_fail(folder):
    segmenter = MaskFilesSegmenter(MaskFilesConfig(path=str(folder)))
    with pytest.raises(ValueError, match="picture"):
        ask(segmenter, "quilt/a_image_1.jpg", np.zeros((5, 5, 3), np.uint8))


@pytest.mark.parametrize("content", ["no json", "[]", '{"images": []}'])
def test_bad_files_are_refused(tmp_path, content):
    path = tmp_path / "masks.json"
    path.write_text(content)
    for where in (path, tmp_path / "none", tmp_path):
        with pytest.raises(Refused, match=r"mask-files\.path"):
            MaskFilesSegmenter(MaskFilesConfig(path=str(where)))
