"""Any picture to 8-bit RGB."""

from __future__ import annotations

import numpy as np
from PIL import Image


def as_rgb(image: Image.Image | np.ndarray) -> np.ndarray:
    """Any picture as uint8 (H, W, 3), RGB.

    Args:
        image: PIL image of any mode, or an array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) of
            uint8 or uint16. 16 bits are scaled to 8; an alpha channel is dropped, as the official
            code does.

    Raises:
        ValueError: no picture of one of these kinds.
    """
    if isinstance(image, Image.Image):
        if image.mode.startswith("I"):
            return as_rgb(np.asarray(image).clip(0, 65535).astype(np.uint16))
        return np.asarray(image.convert("RGB"))
    if image.dtype == np.uint16:
        image = (image // 257).astype(np.uint8)
    if image.dtype != np.uint8:
        raise ValueError(f"pictures are uint8 or uint16, not {image.dtype}")
    if image.ndim == 2:
        image = image[..., None]
    if image.ndim != 3 or image.shape[2] not in (1, 3, 4) or 0 in image.shape:
        raise ValueError(f"no picture: shape {image.shape}")
    if image.shape[2] == 1:
        image = image.repeat(3, axis=2)
    return np.ascontiguousarray(image[..., :3])
