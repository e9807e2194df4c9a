"""Pictures as published: checked without trusting them; see `miner.core.pixels` for orientation."""

from __future__ import annotations

from dataclasses import replace

from miner.core.errors import lacks_memory
from miner.core.pixels import decode, encode, opened, rgb
from miner.core.png import SIGNATURE, BadPicture, essential
from miner.corpora.rows import Picture

# Formats whose bytes go through untouched. MPO is a JPEG with further views behind the first.
FORMATS = {"JPEG": "jpg", "MPO": "jpg", "PNG": "png"}
# Formats that shards cannot hold; a single frame is stored as PNG, which loses nothing.
CONVERTED = ("TIFF", "BMP", "WEBP", "GIF")


def check(data: bytes, max_pixels: int) -> Picture:
    """Check a picture file by decoding it whole, as stages and loaders will.

    Args:
        data: the publisher's bytes.
        max_pixels: larger ones are excluded on the strength of their header.

    Returns:
        The picture with its bytes (converted to PNG for formats shards cannot hold), or with a
        status and a reason: `empty_file`, `not_an_image`, `truncated`, `damaged`,
        `too_many_pixels`, `animated`, `unsupported_format`, `unsupported_pixels`.
    """
    if not data:
        return Picture(status="unreadable", reason="empty_file")
    picture = Picture()
    try:
        image = opened(essential(data) if data[:8] == SIGNATURE else data)
        width, height = image.size
        picture = Picture(width=width, height=height)
        format_ = image.format or ""
        if format_ not in FORMATS and format_ not in CONVERTED:
            return replace(picture, status="unreadable", reason="unsupported_format")
        if width * height > max_pixels:
            return replace(picture, status="excluded", reason="too_many_pixels")
        if format_ != "MPO" and getattr(image, "is_animated", False):
            return replace(picture, status="unreadable", reason="animated")
        if FORMATS.get(format_) == "jpg":
            image.load()  # OpenCV fills in what is missing, Pillow says that it is
        pixels = decode(data) if format_ in FORMATS else rgb(image)
    except BadPicture as bad:
        return replace(picture, status="unreadable", reason=str(bad))
    except Exception as error:  # whatever a decoder makes of damage costs this picture, not the run
        if lacks_memory(error):
            raise
        return replace(picture, status="unreadable", reason="truncated")
    height, width = pixels.shape[:2]
    picture = replace(picture, width=width, height=height)
    if format_ in FORMATS:
        return replace(picture, data=data, format=FORMATS[format_])
    return replace(picture, data=encode(pixels, "png"), format="png")
