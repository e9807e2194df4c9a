"""Pictures that every consumer decodes to the pixels the masks were drawn on.

Masks lie on the stored pixels. OpenCV turns a picture by its EXIF orientation and PIL does not,
readers disagree on 16-bit and transparent PNG, and PIL refuses profiles and texts of PNG that are
large or damaged, so such pictures do not go out as they are.
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Iterable, Iterator

import numpy as np
from PIL import Image

from miner.core.pixels import encode
from miner.core.png import BadPicture, chunks, essential, sound
from shards.decode import decode_image
from shards.export.folder import Folder, Sample
from shards.index import Damaged

_ORIENTATION = 0x0112  # EXIF tag; 1 is upright
_JPEG_EXIF = 0xE1
_JPEG_SCAN = 0xDA


def portable(samples: Iterable[Sample], folder: Folder) -> Iterator[Sample]:
    """Samples whose pictures all readers see alike; what had to be changed is a loss."""
    for sample in samples:
        data, why = upright(sample.image) if sample.format == "jpg" else plain(sample)
        if why:
            folder.lose(sample.key, None, why, "changed")
            sample = dataclasses.replace(sample, image=data)
        yield sample


def upright(data: bytes) -> tuple[bytes, str]:
    """JPEG without an EXIF segment that asks for a turn, and why it was taken out."""
    at = 2
    parts, kept = [data[:2]], True
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != _JPEG_SCAN:
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        is_exif = data[at + 1] == _JPEG_EXIF and data[at + 4 : at + 10] == b"Exif\0\0"
        if is_exif and _turned(data):
            kept = False
        else:
            parts.append(data[at:end])
        at = end
    if kept:
        return data, ""
    return b"".join([*parts, data[at:]]), "readers differ in EXIF orientation: taken out"


def plain(sample: Sample) -> tuple[bytes, str]:
    """PNG of 8 bits a channel without transparency and orientation, and why it was encoded anew."""
    data = sample.image
    parts = list(chunks(data))
    kinds = {kind for kind, _, _ in parts}
    if data[24:25] == b"\x10":
        why = "readers differ in 16-bit PNG: 8 bits"
    elif data[25:26] in (b"\4", b"\6") or b"tRNS" in kinds:
        why = "readers differ in transparency: laid over white"
    elif not all(sound(data, begin, end) for _, begin, end in parts) or not _opens(data):
        return _bare(sample), "readers differ in large or damaged profiles and texts: taken out"
    elif b"eXIf" in kinds and _turned(data):
        why = "readers differ in EXIF orientation: taken out"
    else:
        return data, ""
    return encode(pixels(sample), "png"), why


def _bare(sample: Sample) -> bytes:
    try:
        return essential(sample.image)
    except BadPicture as error:
        size = len(sample.image)
        raise Damaged(f"sample {sample.key}: {size} bytes are not an image: {error}") from None


def _opens(data: bytes) -> bool:
    try:
        Image.open(io.BytesIO(data)).close()
    except (OSError, ValueError, SyntaxError):
        return False
    return True


def pixels(sample: Sample) -> np.ndarray:
    """Picture of a sample, uint8 (H, W, 3), RGB.

    Raises:
        Damaged: it does not decode, or has another size than its masks.
    """
    try:
        return decode_image(sample.image, (sample.value["height"], sample.value["width"]))
    except ValueError as error:
        raise Damaged(f"sample {sample.key}: {error}") from None


def _turned(data: bytes) -> bool:
    with Image.open(io.BytesIO(data)) as image:  # reads the header only
        return image.getexif().get(_ORIENTATION, 1) != 1
