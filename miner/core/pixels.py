"""Picture bytes to RGB pixels and back: the one way in which check, stages and loaders decode.

Orientation: it is never applied, neither of EXIF nor of TIFF. Width and height are those of the
stored pixels, so masks line up with the published file.
"""

from __future__ import annotations

import io
import warnings
from typing import Any

import cv2
import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from miner.core.errors import lacks_memory
from miner.core.png import SIGNATURE, BadPicture, chunks, essential

# `max_pixels` of the corpus is the limit, checked before anything is decoded.
Image.MAX_IMAGE_PIXELS = None

# What undoes the turn that Pillow makes of a TIFF's orientation.
_BACK = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
_BITS, _PHOTOMETRIC, _SIGN = 258, 262, 339  # TIFF tags
_WHITE_IS_ZERO, _SIGNED = 0, 2
_FLAGS = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION


def decode(data: bytes) -> np.ndarray:
    """Decode a picture that `miner.corpora.images.check` accepted.

    Args:
        data: JPEG or PNG bytes.

    Returns:
        RGB, uint8 (H, W, 3). CMYK and palettes are converted, greys of more than 8 bits scaled
        (see `rgb`), 16-bit colours keep their upper byte, transparency is laid over white,
        orientation is ignored.

    Raises:
        BadPicture: the bytes are no picture, or of a kind that cannot be shown in 8 bits.
    """
    if data[:2] == b"\xff\xd8":
        bits, channels = jpeg_frame(data)
        if bits == 8 and channels in (1, 3):
            bgr = cv2.imdecode(np.frombuffer(data, np.uint8), _FLAGS)
            if bgr is not None:
                return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
    elif data[:8] == SIGNATURE:
        data = essential(data)
        transparent = data[25] in (4, 6) or any(k == b"tRNS" for k, _, _ in chunks(data))
        if data[24] <= 8 and not transparent:
            bgr = cv2.imdecode(np.frombuffer(data, np.uint8), _FLAGS)
            if bgr is None:
                raise BadPicture("damaged")
            return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
    return rgb(opened(data))


def opened(data: bytes) -> Image.Image:
    """A picture with its header read.

    Raises:
        BadPicture: `not_an_image`, `truncated`, or `unsupported_pixels` for a JPEG or TIFF of a
            kind that is not read.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return Image.open(io.BytesIO(data))
    except Exception as error:
        if lacks_memory(error):
            raise
        # Pillow raises whatever a header leads it to: that is this picture's fault.
        if not isinstance(error, UnidentifiedImageError | OSError | ValueError | SyntaxError):
            raise BadPicture("not_an_image") from error
        raise BadPicture(_why_not(data)) from None


def _why_not(data: bytes) -> str:
    if data[:2] == b"\xff\xd8" and jpeg_frame(data)[0] not in (0, 8):
        return "unsupported_pixels"
    order = {b"II": "little", b"MM": "big"}.get(data[:2])
    if order and data[2:4] in (b"*\0", b"\0*"):
        directory = int.from_bytes(data[4:8], "little" if order == "little" else "big")
        return "unsupported_pixels" if directory + 2 <= len(data) else "truncated"
    return "not_an_image"


def jpeg_frame(data: bytes) -> tuple[int, int]:
    """Bits per channel and number of channels that a JPEG states, 0 where it states none."""
    at = _frame(data)
    return (data[at + 4], data[at + 9]) if at < len(data) else (0, 0)


def _frame(data: bytes) -> int:
    """Where the segment begins in which a JPEG states its size; the end where there is none."""
    at = 2
    while at + 10 <= len(data) and data[at] == 0xFF:
        kind = data[at + 1]
        if kind == 0xFF:  # fill
            at += 1
        elif 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):
            return at
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return len(data)


def stated_size(data: bytes) -> tuple[int, int]:
    """Height and width that the header of a JPEG or PNG states, 0 where it states none."""
    if data[:8] == SIGNATURE:
        return int.from_bytes(data[20:24], "big"), int.from_bytes(data[16:20], "big")
    at = _frame(data)
    height, width = data[at + 5 : at + 7], data[at + 7 : at + 9]
    return int.from_bytes(height, "big"), int.from_bytes(width, "big")


def rgb(image: Image.Image) -> np.ndarray:
    """Any PIL image as RGB, uint8 (H, W, 3), as its pixels are stored.

    Greys of more than 8 bits are scaled from the depth that the file states (9 to 15 bits), or from
    the smallest even number of bits that holds the brightest of 16: a camera's 12 bits in 16 would
    be black otherwise. Fractions up to 1 are scaled, too. Where 0 is white the grey is inverted.

    Raises:
        BadPicture: `truncated`; `unsupported_pixels`: negative, infinite or larger values, or
            16-bit colours so dark that their upper byte shows nothing.
    """
    tags: Any = getattr(image, "tag_v2", {})
    deep = any(";16" in str(tile[3]) for tile in getattr(image, "tile", ()))
    depth = tags.get(_BITS, (16,))[0]
    inverted = tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            turned = image.getexif().get(ExifTags.Base.Orientation, 1) if tags else 1
            image.load()
    except Exception as error:  # whatever a decoder makes of damage is this picture's fault
        if lacks_memory(error):
            raise
        raise BadPicture("truncated") from error
    if turned in _BACK:
        image = image.transpose(_BACK[turned])
    if image.mode.startswith("I") or image.mode == "F":
        grey = _grey(np.asarray(image), depth)
        return np.repeat((255 - grey if inverted else grey)[:, :, None], 3, axis=2)
    if _SIGNED in tags.get(_SIGN, ()):
        raise BadPicture("unsupported_pixels")
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image)
    try:
        pixels = np.asarray(image.convert("RGB"))
    except ValueError:  # L*a*b* and the like
        raise BadPicture("unsupported_pixels") from None
    if deep and 0 < pixels.max(initial=0) < 16:
        raise BadPicture("unsupported_pixels")
    return pixels


def _grey(values: np.ndarray, depth: int) -> np.ndarray:
    """Greys of more than 8 bits, any numbers (H, W), as uint8 (H, W)."""
    low, high = values.min(initial=0), values.max(initial=0)
    if not (0 <= low and high < 1 << 16):  # NaN is neither
        raise BadPicture("unsupported_pixels")
    if values.dtype.kind == "f" and high <= 1:
        return np.round(values * 255).astype(np.uint8)
    if values.dtype.kind == "f" and high < 16:
        raise BadPicture("unsupported_pixels")
    if not 8 < depth < 16:
        bits = int(high).bit_length()
        depth = max(8, bits + bits % 2)
    return (values.astype(np.uint16) >> (depth - 8)).astype(np.uint8)


def encode(pixels: np.ndarray, format_: str, quality: int = 95) -> bytes:
    """Encode RGB pixels, uint8 (H, W, 3), as PNG or JPEG; the same bytes for the same pixels."""
    bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    options: list[int] = []  # PNG as it stands: two fifths of the time of level 1 for 5% more bytes
    if format_ != "png":
        full_colour = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444
        options = [cv2.IMWRITE_JPEG_QUALITY, quality]
        options += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, full_colour]
    return cv2.imencode(f".{format_}", bgr, options)[1].tobytes()
