"""Label maps as VOC, CVAT and QuPath write them: two objects are never one."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from miner.core.masks import encode
from segmenters.label_maps import BadMask, read_label_map

# Three objects that touch; 0 is background.
IDS = np.zeros((20, 30), np.uint8)
IDS[2:8, 3:9], IDS[8:14, 3:9], IDS[2:8, 9:15] = 1, 2, 3
VOC = [(0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0)]
SAME_RED = [(0, 0, 0), (255, 0, 0), (255, 255, 0), (255, 0, 255)]
WHITE, BLACK = (255, 255, 255), (0, 0, 0)


def painted(colours, mode="RGB"):
    return Image.fromarray(np.array(colours, np.uint8)[IDS], mode)


def entries(colours, ids=IDS):
    image = Image.fromarray(ids, "P")
    image.putpalette([value for colour in colours for value in colour])
    return image


def with_alpha(colours, clear):
    values = np.array([(*c, 0 if i in clear else 255) for i, c in enumerate(colours)], np.uint8)
    return Image.fromarray(values[IDS], "RGBA")


def voc():
    """VOC: entry 255 parts the objects and belongs to nobody."""
    ids = IDS.copy()
    ids[1, :20] = 255
    palette = VOC + [(0, 0, 64 + i % 100) for i in range(251)] + [(224, 224, 192)]
    return entries(palette, ids)


READ = {
    "numbers": Image.fromarray(IDS),
    "numbers of 16 bits": Image.fromarray(IDS.astype(np.uint16) * 300),
    "colours of VOC": painted(VOC),
    "colours that share their red": painted(SAME_RED),
    "colours that share red and green": painted([(0, 0, 0), (9, 9, 1), (9, 9, 2), (9, 9, 3)]),
    "ids of 24 bits": painted([(0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0)]),
    "grey colours": painted([(0, 0, 0), (1, 1, 1), (2, 2, 2), (3, 3, 3)]),
    "colours on nothing": with_alpha([WHITE, *VOC[1:]], {0}),
    "colours with full opacity": with_alpha(SAME_RED, ()),
    "greys with opacity": Image.merge("LA", [Image.fromarray(IDS), Image.fromarray(IDS * 0 + 255)]),
    "entries of VOC": voc(),
    "entries on QuPath's white": entries([WHITE, (200, 0, 0), (200, 0, 1), (150, 200, 150)]),
    "entries of one colour": entries([(0, 0, 0), (9, 0, 0), (9, 0, 0), (9, 0, 0)]),
    "entries on nothing": entries([(1, 2, 3), *VOC[1:]]),
}


def read(tmp_path, image, **options):
    path = tmp_path / "gland.png"
    image.save(path, **options)
    return read_label_map(path, 20, 30)


@pytest.mark.parametrize("name", READ)
def test_objects_are_told_apart(tmp_path, name):
    labels = read(tmp_path, READ[name])
    assert labels.dtype == np.int32
    objects = {encode(labels == i) for i in np.unique(labels) if i}
    assert objects == {encode(IDS == i) for i in (1, 2, 3)}
    assert np.array_equal(labels > 0, IDS > 0)


AMBIGUOUS = {
    "colours on white": painted([WHITE, *VOC[1:]]),
    "one colour everywhere": Image.new("RGB", (30, 20), (255, 0, 0)),
    "black on nothing": with_alpha([WHITE, BLACK, *VOC[2:]], {0}),
    "entries with black behind the first": entries([(1, 2, 3), BLACK, *VOC[2:]]),
}


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_what_can_be_read_in_two_ways_is_refused(tmp_path, name):
    with pytest.raises(BadMask, match="ambiguous_colours"):
        read(tmp_path, AMBIGUOUS[name])


def test_a_transparent_entry_that_is_not_the_first_is_refused(tmp_path):
    with pytest.raises(BadMask, match="ambiguous_colours"):
        read(tmp_path, READ["entries of VOC"], transparency=2)
    assert read(tmp_path, READ["entries of VOC"], transparency=0).max() == 3


def test_colours_of_16_bits_are_refused(tmp_path):
    deep = np.repeat(IDS[..., None].astype(np.uint16), 3, axis=2)  # ids in the lower byte
    (tmp_path / "gland.png").write_bytes(cv2.imencode(".png", deep)[1].tobytes())
    with pytest.raises(BadMask, match="unreadable_mask"):
        read_label_map(tmp_path / "gland.png", 20, 30)


def test_what_is_no_label_map_says_why(tmp_path):
    path = tmp_path / "gland.png"
    with pytest.raises(BadMask, match="unreadable_mask"):
        read_label_map(path, 20, 30)
    buffer = io.BytesIO()
    Image.fromarray(IDS).save(buffer, "PNG")
    for data in (b"", b"no picture", buffer.getvalue()[:60]):
        path.write_bytes(data)
        with pytest.raises(BadMask, match="unreadable_mask"):
            read_label_map(path, 20, 30)
    path.write_bytes(buffer.getvalue())
    with pytest.raises(BadMask, match="another_size"):
        read_label_map(path, 30, 20)
