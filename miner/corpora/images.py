"""Pictures as published: checked without trusting them; see `miner.core.pixels` for orientation."""

from __future__ import annotations

import io
import warnings
from dataclasses import replace

from PIL import Image, UnidentifiedImageError

from miner.core.pixels import encode, rgb
from miner.corpora.rows import Picture

# Formats whose bytes go through untouched. MPO is a JPEG with further views behind the first.
FORMATS = {"JPEG": "jpg", "MPO": "jpg", "PNG": "png"}
# Formats that shards cannot hold; a single frame is stored as PNG, which loses nothing.
CONVERTED = ("TIFF", "BMP", "WEBP", "GIF")


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
        return replace(picture, data=encode(rgb(image), "png"), format="png")
