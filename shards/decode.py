"""Image bytes and run-length encodings to arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from pycocotools import mask as coco


def decode_image(data: bytes) -> np.ndarray:
    """Decode a JPEG or PNG, uint8 (H, W, 3), RGB.

    Raises:
        ValueError: not an image.
    """
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    if image is None:
        raise ValueError(f"{len(data)} bytes are not an image that OpenCV decodes")
    return image


def decode_masks(rles: Sequence[Mapping[str, Any]], height: int, width: int) -> np.ndarray:
    """Decode COCO compressed RLEs, uint8 (n, H, W) with 0 and 1.

    Raises:
        ValueError: the size of an RLE is not the image's.
    """
    if not rles:
        return np.zeros((0, height, width), np.uint8)
    for rle in rles:
        if list(rle["size"]) != [height, width]:
            raise ValueError(f"RLE of size {rle['size']}, the image is {[height, width]}")
    return coco.decode(list(rles)).transpose(2, 0, 1)
