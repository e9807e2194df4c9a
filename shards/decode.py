"""Image bytes to arrays."""

from __future__ import annotations

import numpy as np

from miner.core.pixels import decode, stated_size


def decode_image(data: bytes, size: tuple[int, int] | None = None) -> np.ndarray:
    """Decode a JPEG or PNG to the pixels that masks were drawn on, uint8 (H, W, 3), RGB.

    Args:
        data: the publisher's bytes.
        size: height and width that it must have; another one is not decoded.

    Raises:
        ValueError: not an image; says how many bytes it is of. Or of another size.
    """
    found = stated_size(data)
    if size is not None and all(found) and found != size:
        raise ValueError(f"the picture is of another size: {found[1]}x{found[0]} px")
    try:
        pixels = decode(data)
    except ValueError as error:
        raise ValueError(f"{len(data)} bytes are not an image: {error}") from None
    if size is not None and pixels.shape[:2] != size:
        raise ValueError(f"the picture is of another size: {pixels.shape[1]}x{pixels.shape[0]} px")
    return pixels if pixels.flags.writeable else pixels.copy()
