import io

import cv2
import numpy as np
import pytest
from PIL import Image

from miner.core.pixels import decode
from miner.corpora.images import check

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 255, (24, 36, 3), dtype=np.uint8)


def save(image: Image.Image, format_: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format_, **options)
    return buffer.getvalue()


def accepted(data: bytes) -> np.ndarray:
    """Pixels of a picture that must pass through untouched."""
    picture = check(data, 10_000)
    assert picture.reason is None
    assert picture.data == data
    pixels = decode(data)
    assert pixels.shape == (picture.height, picture.width, 3)
    assert pixels.dtype == np.uint8
    return pixels


def test_png_decodes_to_its_pixels():
    assert np.array_equal(accepted(save(Image.fromarray(RGB), "PNG")), RGB)


def test_jpeg_decodes_as_pillow_does():
    data = save(Image.fromarray(RGB), "JPEG", quality=95)
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)
    assert np.abs(accepted(data) - expected).max() <= 2


def test_sixteen_bit_channels_keep_the_upper_byte():
    grey = RNG.integers(0, 65535, (8, 9), dtype=np.uint16)
    data = cv2.imencode(".png", grey)[1].tobytes()
    assert np.array_equal(accepted(data), np.repeat((grey >> 8).astype(np.uint8)[..., None], 3, 2))


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK"])
def test_other_colour_modes_become_rgb(mode):
    image = Image.fromarray(RGB).convert(mode)
    data = save(image, "JPEG" if mode == "CMYK" else "PNG")
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    assert np.array_equal(accepted(data), expected)


def test_transparency_lies_over_white():
    image = Image.fromarray(RGB).convert("RGBA")
    image.putalpha(0)
    assert (accepted(save(image, "PNG")) == 255).all()


def test_exif_rotation_is_not_applied():
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate by 90 degrees to show
    data = save(Image.fromarray(RGB), "JPEG", exif=exif.tobytes())
    assert accepted(data).shape == RGB.shape
    assert Image.open(io.BytesIO(data)).size == (36, 24)


@pytest.mark.parametrize("format_", ["TIFF", "BMP", "WEBP", "GIF"])
def test_formats_that_shards_cannot_hold_become_png(format_):
    options = {"lossless": True} if format_ == "WEBP" else {}
    data = save(Image.fromarray(RGB), format_, **options)
    picture = check(data, 10_000)
    assert picture.format == "png"
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    assert np.array_equal(decode(picture.data or b""), expected)


FRAMES = [Image.fromarray(RGB), Image.fromarray(255 - RGB)]
JPEG = save(Image.fromarray(RGB), "JPEG")
PNG = save(Image.fromarray(RGB), "PNG")
BAD = {
    "empty": (b"", "unreadable", "empty_file"),
    "html": (b"<html>404</html>", "unreadable", "not_an_image"),
    "cut jpeg": (JPEG[: len(JPEG) // 2], "unreadable", "truncated"),
    "cut png": (PNG[: len(PNG) // 2], "unreadable", "truncated"),
    "cut head": (PNG[:20], "unreadable", "not_an_image"),
    "animated gif": (
        save(FRAMES[0], "GIF", save_all=True, append_images=FRAMES[1:]),
        "unreadable",
        "animated",
    ),
    "animated png": (
        save(FRAMES[0], "PNG", save_all=True, append_images=FRAMES[1:]),
        "unreadable",
        "animated",
    ),
    "many pages": (
        save(FRAMES[0], "TIFF", save_all=True, append_images=FRAMES[1:]),
        "unreadable",
        "animated",
    ),
    "icon": (save(FRAMES[0], "ICO"), "unreadable", "unsupported_format"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_picture_says_why(name):
    data, status, reason = BAD[name]
    picture = check(data, 10_000)
    assert (picture.data, picture.status, picture.reason) == (None, status, reason)


def test_200_megapixels_are_refused_before_decoding(monkeypatch):
    image = Image.new("1", (20_000, 10_000))
    data = save(image, "PNG")
    monkeypatch.setattr(Image.Image, "load", None)  # decoding would call it
    picture = check(data, 100_000_000)
    assert (picture.status, picture.reason) == ("excluded", "too_many_pixels")
    assert (picture.width, picture.height) == (20_000, 10_000)


def test_decode_raises_on_what_is_no_picture():
    with pytest.raises(ValueError, match="no picture"):
        decode(b"<html>")
