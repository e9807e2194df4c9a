"""Picture bytes to RGB pixels and back.

Orientation: EXIF rotation is never applied. Width and height are those of the stored pixels, which
is what `PIL.Image.open(file).size` says, so masks line up with the published file.
"""

from __future__ import annotations

import io
import warnings

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

# `max_pixels` of the corpus is the limit, checked before anything is decoded.
Image.MAX_IMAGE_PIXELS = None


def decode(data: bytes) -> np.ndarray:
    """Decode a picture that `miner.corpora.images.check` accepted.

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
            return rgb(image)
    except (OSError, SyntaxError, UnidentifiedImageError) as error:
        raise ValueError(f"no picture: {error}") from None


def rgb(image: Image.Image) -> np.ndarray:
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
