"""Tiled pyramidal TIFF slides that OpenSlide opens, with their resolution.

Written here because tifffile can't put JPEG tiles into a file without imagecodecs, a dependency of
some fifty shared libraries.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import cv2
import numpy as np

from miner.demo.stains import encode_jpeg

TILE = 256
LEVELS = (1, 4, 16)
QUALITY = 88

# TIFF field types and the tags used here (TIFF 6.0 and its JPEG supplement).
SHORT, LONG, RATIONAL = 3, 4, 5
FORMAT = {SHORT: "H", LONG: "I", RATIONAL: "II"}
CENTIMETRE = 3
JPEG = 7
YCBCR = 6


def write_slide(path: Path, image: np.ndarray, mpp: float) -> None:
    """Write a slide; equal pictures give equal bytes.

    Args:
        path: the TIFF, below 4 GB.
        image: uint8 (H, W, 3), RGB.
        mpp: micrometres per pixel of level 0.
    """
    with open(path, "wb") as file:
        file.write(struct.pack("<2sHI", b"II", 42, 0))
        link = 4  # where the offset of the next directory goes
        for level in LEVELS:
            height, width = image.shape[0] // level, image.shape[1] // level
            small = (
                image
                if level == 1
                else cv2.resize(image, (width, height), None, 0, 0, cv2.INTER_AREA)
            )
            offsets, sizes = [], []
            for data in encoded_tiles(small):
                offsets.append(file.tell())
                sizes.append(len(data))
                file.write(data + b"\0" * (len(data) % 2))
            per_cm = (round(1e7 / (mpp * level)), 1000)
            tags: dict[int, tuple[int, list]] = {
                254: (LONG, [int(level > 1)]),  # reduced resolution or not
                256: (LONG, [width]),
                257: (LONG, [height]),
                258: (SHORT, [8, 8, 8]),
                259: (SHORT, [JPEG]),
                262: (SHORT, [YCBCR]),
                277: (SHORT, [3]),
                282: (RATIONAL, [per_cm]),
                283: (RATIONAL, [per_cm]),
                284: (SHORT, [1]),
                296: (SHORT, [CENTIMETRE]),
                322: (SHORT, [TILE]),
                323: (SHORT, [TILE]),
                324: (LONG, offsets),
                325: (LONG, sizes),
                530: (SHORT, [2, 2]),  # chroma subsampling, as in the JPEG tiles
            }
            link = write_directory(file, link, tags)


def write_directory(file: IO[bytes], link: int, tags: dict[int, tuple[int, list]]) -> int:
    """Append an image file directory and link it to the one before.

    Args:
        file: binary file at its end.
        link: position of the offset that shall point here.
        tags: type and values per tag, in ascending order.

    Returns:
        The position of this directory's own link.
    """
    entries = []
    for tag, (kind, values) in tags.items():
        flat = [v for value in values for v in (value if isinstance(value, tuple) else (value,))]
        packed = struct.pack("<" + FORMAT[kind] * len(values), *flat)
        if len(packed) > 4:
            at = file.tell()
            file.write(packed + b"\0" * (len(packed) % 2))
            packed = struct.pack("<I", at)
        entries.append(struct.pack("<HHI4s", tag, kind, len(values), packed.ljust(4, b"\0")))
    start = file.tell()
    file.write(struct.pack("<H", len(entries)) + b"".join(entries) + struct.pack("<I", 0))
    end = file.tell()
    file.seek(link)
    file.write(struct.pack("<I", start))
    file.seek(end)
    return end - 4


def encoded_tiles(image: np.ndarray) -> Iterator[bytes]:
    """JPEG tiles of a picture, row by row; tiles at the edge are filled with white."""
    height, width = image.shape[:2]
    for y in range(0, height, TILE):
        for x in range(0, width, TILE):
            part = image[y : y + TILE, x : x + TILE]
            tile = np.full((TILE, TILE, 3), 255, np.uint8)
            tile[: part.shape[0], : part.shape[1]] = part
            yield encode_jpeg(tile, QUALITY)
