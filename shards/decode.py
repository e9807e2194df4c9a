"""Image bytes to arrays."""

from __future__ import annotations

import cv2
import numpy as np


def decode_image(data: bytes) -> np.ndarray:
    """Decode a JPEG or PNG, uint8 (H, W, 3), RGB.

    Raises:
        ValueError: not an image.
    """
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    if image is None:
        raise ValueError(f"{len(data)} bytes are not an image that OpenCV decodes")
    return image
