"""Image bytes to arrays."""

from __future__ import annotations

import cv2
import numpy as np

from miner.core.pixels import decode

_PNG = b"\x89PNG\r\n\x1a\n"


def decode_image(data: bytes) -> np.ndarray:
    """Decode a JPEG or PNG to the pixels that masks were drawn on, uint8 (H, W, 3), RGB.

    EXIF orientation is not applied, 16-bit channels keep their upper byte, transparency is laid
    over white.

    Raises:
        ValueError: not an image.
    """
    if data[:8] == _PNG and (data[24:25] == b"\x10" or data[25:26] in (b"\4", b"\6")):
        return np.array(decode(data))
    if data[:8] == _PNG and b"tRNS" in png_chunks(data):
        return np.array(decode(data))
    if not data:
        raise ValueError("0 bytes are not an image")
    flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
    image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if image is None:
        raise ValueError(f"{len(data)} bytes are not an image that OpenCV decodes")
    return image


def png_chunks(data: bytes) -> list[bytes]:
    """Kinds of a PNG's chunks, four bytes each, up to its pixels and behind them."""
    kinds, at = [], 8
    while at + 8 <= len(data):
        kinds.append(data[at + 4 : at + 8])
        at += 12 + int.from_bytes(data[at : at + 4], "big")
    return kinds
