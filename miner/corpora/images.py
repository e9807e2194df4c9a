"""Pictures as published: checked without trusting them, decoded to RGB arrays.

Orientation: EXIF rotation is never applied. Width and height are those of the stored pixels, which
is what `PIL.Image.open(file).size` says, so masks line up with the published file.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import replace

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from miner.corpora.rows import Picture

# `max_pixels` of the corpus is the limit, checked before anything is decoded.
Image.MAX_IMAGE_PIXELS = None

# Formats whose bytes go through untouched. MPO is a JPEG with further views behind the first.
FORMATS = {"JPEG": "jpg", "MPO": "jpg", "PNG": "png"}
# Formats that shards cannot hold; a single frame is stored as PNG, which loses nothing.
CONVERTED = ("TIFF", "BMP", "WEBP", "GIF")


def decode(data: bytes) -> np.ndarray:
    """Decode a picture that `check` accepted.

    Args:
        data: JPEG or PNG bytes.

    Returns:
        RGB, uint8 (H, W, 3). 16-bit channels keep their upper byte, CMYK and palettes are
        converted, transparency is laid over white, EXIF orientation is ignored.

    Raises:
        ValueError: the bytes are no picture.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(data))
            if image.format in ("JPEG", "MPO") and image.mode in ("RGB", "L"):
                flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
                bgr = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
                if bgr is not None:
                    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
            return _rgb(image)
    except (OSError, SyntaxError, UnidentifiedImageError) as error:
        raise ValueError(f"no picture: {error}") from None


def _rgb(image: Image.Image) -> np.ndarray:
    """Any PIL image as RGB, uint8 (H, W, 3)."""
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image).astype(np.float64)
        grey = np.clip(values // 256 if values.max(initial=0) > 255 else values, 0, 255)
        return np.repeat(grey.astype(np.uint8)[:, :, None], 3, axis=2)
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image)
    return np.asarray(image.convert("RGB"))


def check(data: bytes, max_pixels: int) -> Picture:
    """Check a picture file by decoding it whole.

    Args:
        data: the publisher's bytes.
        max_pixels: larger ones are excluded on the strength of their header.

    Returns:
        The picture with its bytes (converted to PNG for formats shards cannot hold), or with a
        status and a reason: `empty_file`, `not_an_image`, `truncated`, `too_many_pixels`,
        `animated`, `unsupported_format`.
    """
    if not data:
        return Picture(status="unreadable", reason="empty_file")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            image = Image.open(io.BytesIO(data))
        except (OSError, SyntaxError, ValueError, UnidentifiedImageError):
            return Picture(status="unreadable", reason="not_an_image")
        width, height = image.size
        picture = Picture(width=width, height=height)
        if width * height > max_pixels:
            return replace(picture, status="excluded", reason="too_many_pixels")
        format_ = image.format or ""
        if format_ not in FORMATS and format_ not in CONVERTED:
            return replace(picture, status="unreadable", reason="unsupported_format")
        try:
            if format_ != "MPO" and getattr(image, "n_frames", 1) > 1:
                return replace(picture, status="unreadable", reason="animated")
            image.load()
        except (OSError, SyntaxError, ValueError, EOFError, MemoryError):
            return replace(picture, status="unreadable", reason="truncated")
        if format_ in FORMATS:
            return replace(picture, data=data, format=FORMATS[format_])
        return replace(picture, data=encode(_rgb(image), "png"), format="png")


def encode(pixels: np.ndarray, format_: str, quality: int = 95) -> bytes:
    """Encode RGB pixels, uint8 (H, W, 3), as PNG or JPEG; the same bytes for the same pixels."""
    bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    if format_ == "png":  # level 1: half the time of level 3 for 2% more bytes
        options = [cv2.IMWRITE_PNG_COMPRESSION, 1]
    else:
        full_colour = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444
        options = [cv2.IMWRITE_JPEG_QUALITY, quality]
        options += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, full_colour]
    return cv2.imencode(f".{format_}", bgr, options)[1].tobytes()
