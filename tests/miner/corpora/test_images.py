import io
import struct
import zlib

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms, ImageFile, PngImagePlugin

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


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def beside(chunks: bytes, data: bytes = PNG) -> bytes:
    """A PNG with chunks between its header and its pixels."""
    return data[:33] + chunks + data[33:]


def xmp(length: int) -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", "x" * length, zip=True)
    return save(Image.fromarray(RGB), "PNG", pnginfo=info)


LARGE = zlib.compress(bytes(3_000_000))
SIDE_CHUNKS = {
    "a profile of megabytes": beside(chunk(b"iCCP", b"scanner\0\0" + LARGE)),
    "a sound profile": save(
        Image.fromarray(RGB), "PNG",
        icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()),
    "XMP of megabytes": xmp(1_500_000),
    "text of megabytes": beside(chunk(b"zTXt", b"Comment\0\0" + LARGE)),
    "many texts": beside(chunk(b"tEXt", b"Comment\0" + b"x" * 500_000) * 150),
    "a wrong checksum of text": beside(chunk(b"tEXt", b"Comment\0x")[:-1] + b"?"),
    "a wrong checksum of gamma": beside(chunk(b"gAMA", b"\0\0\xb1\x8f")[:-1] + b"?"),
    "a wrong checksum of a profile": beside(chunk(b"iCCP", b"x\0\0" + LARGE)[:-1] + b"?"),
    "a profile that does not unpack": beside(chunk(b"iCCP", b"x\0\0nothing")),
    "an orientation": beside(chunk(b"eXIf", Image.Exif().tobytes()[6:] or b"II*\0")),
    "a wrong checksum behind the pixels": PNG[:-12] + chunk(b"tIME", b"")[:-1] + b"?" + PNG[-12:],
    "something behind the end": PNG + b"x" * 1000,
}  # fmt: skip


@pytest.mark.parametrize("name", SIDE_CHUNKS)
def test_what_comes_along_in_a_png_does_no_harm(name):
    assert np.array_equal(accepted(SIDE_CHUNKS[name]), RGB)


def test_a_transparency_with_a_wrong_checksum_is_none():
    palette = save(Image.fromarray(RGB).convert("P"), "PNG")
    assert np.array_equal(
        accepted(beside(chunk(b"tRNS", bytes(200))[:-1] + b"?", palette)), accepted(palette)
    )


PIXELS = PNG.index(b"IDAT")
DAMAGED = {
    "a wrong checksum of the pixels": (PNG[:-13] + bytes([PNG[-13] ^ 1]) + PNG[-12:], "damaged"),
    "a bit of the pixels": (PNG[: PIXELS + 40] + bytes([PNG[PIXELS + 40] ^ 4])
                            + PNG[PIXELS + 41 :], "damaged"),
    "a wrong checksum of the header": (PNG[:32] + bytes([PNG[32] ^ 1]) + PNG[33:], "damaged"),
    "too few pixels": (PNG[: PIXELS - 4] + chunk(b"IDAT", PNG[PIXELS + 4 : PIXELS + 400])
                       + PNG[-12:], "damaged"),
    "no end": (PNG[:-12], "truncated"),
    "a length behind the end": (beside(b"\x7f\xff\xff\xfftEXtx"), "truncated"),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_png_is_no_picture_for_anyone(name):
    data, reason = DAMAGED[name]
    picture = check(data, 10_000)
    assert (picture.data, picture.status, picture.reason) == (None, "unreadable", reason)
    with pytest.raises(ValueError, match=reason):
        decode(data)


def tiff(values: np.ndarray, **options: object) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, values, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("compression", ["zlib", None])
def test_the_orientation_of_a_tiff_is_not_applied(orientation, compression):
    extra = [(274, "H", 1, orientation, True)]
    data = tiff(RGB, photometric="rgb", compression=compression, extratags=extra)
    picture = check(data, 10_000)
    assert (picture.width, picture.height) == (36, 24)
    assert np.array_equal(decode(picture.data or b""), RGB)


RAMP = np.linspace(0, 1, 24 * 36).reshape(24, 36)
BYTES = (RAMP * 255).astype(np.uint8)


GREYS = {
    "16 bits": (RAMP * 65535).astype(np.uint16),
    "14 bits in 16": (RAMP * 16383).astype(np.uint16),
    "12 bits in 16": (RAMP * 4095).astype(np.uint16),
    "10 bits in 16": (RAMP * 1023).astype(np.uint16),
    "8 bits in 16": (RAMP * 255).astype(np.uint16),
    "16 bits in 32": (RAMP * 65535).astype(np.int32),
    "fractions": RAMP.astype(np.float32),
    "fractions of 255": (RAMP * 255).astype(np.float32),
    "16 bits as floats": (RAMP * 65535).astype(np.float32),
}


@pytest.mark.parametrize("name", GREYS)
@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_greys_of_any_depth_are_scaled(name, byteorder, photometric):
    values = GREYS[name]
    picture = check(tiff(values, byteorder=byteorder, photometric=photometric), 10_000)
    if (name, photometric) == ("16 bits in 32", "miniswhite") or (
        (values.dtype, byteorder, photometric) == (np.uint16, ">", "miniswhite")
    ):
        assert picture.reason == "unsupported_pixels"  # Pillow does not read them
        return
    white = photometric == "miniswhite"
    expected = 255 - BYTES.astype(int) if white else BYTES.astype(int)
    assert picture.reason is None
    grey = decode(picture.data or b"").astype(int)
    assert np.abs(grey - expected[..., None]).max() <= 1


@pytest.mark.parametrize("name", ["16 bits", "12 bits in 16", "10 bits in 16"])
def test_deep_grey_png_is_scaled_alike(name):
    data = cv2.imencode(".png", GREYS[name])[1].tobytes()
    assert np.abs(accepted(data).astype(int) - BYTES[..., None]).max() <= 1


def test_a_stated_depth_of_12_bits_holds_for_dark_pictures_too():
    values = (RAMP * 1000).astype(np.uint16)
    flat = values.ravel()
    packed = bytearray()
    for a, b in zip(flat[::2].tolist(), flat[1::2].tolist(), strict=True):
        packed += bytes((a >> 4, (a & 15) << 4 | b >> 8, b & 255))
    entries = [(256, 36), (257, 24), (258, 12), (259, 1), (262, 1), (273, 8), (277, 1), (278, 24),
               (279, len(packed))]  # fmt: skip
    head = struct.pack("<2sHI", b"II", 42, 8 + len(packed))
    directory = struct.pack("<H", len(entries))
    directory += b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    picture = check(head + bytes(packed) + directory + bytes(4), 10_000)
    assert np.array_equal(decode(picture.data or b"")[..., 0], values >> 4)


@pytest.mark.parametrize("bits", [1, 8])
def test_shallow_greys_where_0_is_white(bits):
    values = RAMP > 0.5 if bits == 1 else BYTES
    picture = check(tiff(values, photometric="miniswhite"), 10_000)
    expected = np.where(values, 0, 255) if bits == 1 else 255 - values
    assert np.array_equal(decode(picture.data or b"")[..., 0], expected)


KINDS = {
    "negative": (RAMP * 2000 - 1000).astype(np.int16),
    "32 bits": (RAMP * 2**31).astype(np.uint32),
    "NaN": np.where(RAMP > 0.5, np.nan, RAMP).astype(np.float32),
    "infinite": np.where(RAMP > 0.5, np.inf, RAMP).astype(np.float32),
    "optical density": (RAMP * 3).astype(np.float32),
    "64-bit floats": RAMP,
    "half floats": RAMP.astype(np.float16),
    "signed bytes": (RAMP * 100 - 50).astype(np.int8),
    "two channels": np.stack([BYTES, BYTES]),
    "complex": RAMP.astype(np.complex64),
    "dark 16-bit colours": np.full((24, 36, 3), 4000, np.uint16),
}


@pytest.mark.parametrize("name", KINDS)
def test_what_8_bits_cannot_show_has_a_reason_of_its_own(name):
    options = {"photometric": "rgb"} if "colours" in name else {"photometric": "minisblack"}
    if name == "two channels":
        options["planarconfig"] = "separate"
    picture = check(tiff(KINDS[name], **options), 10_000)
    assert (picture.data, picture.reason) == (None, "unsupported_pixels")


@pytest.mark.parametrize("frame", [b"\xff\xc1\0\x0b\x0c", b"\xff\xc3\0\x0b\x10"])
def test_jpeg_of_more_than_8_bits(frame):
    at = JPEG.index(b"\xff\xc0")
    assert check(JPEG[:at] + frame + JPEG[at + 5 :], 10_000).reason == "unsupported_pixels"


def test_a_cut_tiff_is_told_from_one_of_another_kind():
    data = save(Image.fromarray(RGB), "TIFF")
    for cut in (8, len(data) // 2):
        assert check(data[:cut], 10_000).reason in ("truncated", "not_an_image")


def test_whatever_a_decoder_raises_is_the_reason_of_its_picture():
    for format_ in ("JPEG", "PNG", "TIFF", "BMP", "WEBP", "GIF"):
        data = save(Image.fromarray(RGB), format_)
        for seed in range(60):
            rng = np.random.default_rng(seed)
            broken = bytearray(data)
            for at in rng.integers(0, min(len(data), 400), 6):
                broken[at] = rng.integers(256)
            picture = check(bytes(broken), 10_000)
            assert (picture.data is None) == (picture.status is not None)
            if picture.data is not None:
                assert decode(picture.data).shape == (picture.height, picture.width, 3)


def test_a_lack_of_memory_is_nobodys_fault(monkeypatch):
    def full(*_):
        raise MemoryError

    for format_, place in (("TIFF", "load"), ("BMP", "load"), ("JPEG", "load")):
        data = save(Image.fromarray(RGB), format_)
        with monkeypatch.context() as patch:
            patch.setattr(ImageFile.ImageFile, place, full)
            with pytest.raises(MemoryError):
                check(data, 10_000)
    monkeypatch.setattr(Image, "open", full)
    with pytest.raises(MemoryError):
        check(PNG, 10_000)


def test_decode_raises_on_what_is_no_picture():
    with pytest.raises(ValueError, match="not_an_image"):
        decode(b"<html>")


def test_small_whole_numbers_are_no_shares_of_white():
    data = cv2.imencode(".png", np.eye(8, 9, dtype=np.uint16))[1].tobytes()
    assert accepted(data).max() == 1
