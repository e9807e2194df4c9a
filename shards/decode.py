"""Image bytes to arrays."""

from __future__ import annotations

import numpy as np

from miner.core.pixels import decode


def decode_image(data: bytes) -> np.ndarray:
    """Decode a JPEG or PNG to the pixels that masks were drawn on, uint8 (H, W, 3), RGB.

    Raises:
        ValueError: not an image; says how many bytes it is of.
    """
    try:
        pixels = decode(data)
    except ValueError as error:
        raise ValueError(f"{len(data)} bytes are not an image: {error}") from None
    return pixels if pixels.flags.writeable else pixels.copy()
