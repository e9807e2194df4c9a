"""PNG chunk by chunk: what pixels need, and nothing of what comes along.

Scanners write colour profiles of megabytes, and Pillow refuses a picture whose profile or text
unpacks to more than one, or whose checksum of such a chunk is wrong. libpng and browsers read both.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_NEEDED = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"acTL", b"fcTL", b"fdAT")


class BadPicture(ValueError):
    """Bytes that are no picture to work with; the message is the reason."""


def chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind, begin and end of a PNG's chunks up to IEND; the last may end behind the data."""
    at = len(SIGNATURE)
    while at + 8 <= len(data):
        kind, end = data[at + 4 : at + 8], at + 12 + int.from_bytes(data[at : at + 4], "big")
        yield kind, at, end
        if kind == b"IEND":
            return
        at = end


def sound(data: bytes, begin: int, end: int) -> bool:
    """Whether a chunk is whole and has the checksum that it says."""
    stated = int.from_bytes(data[end - 4 : end], "big")
    return end <= len(data) and zlib.crc32(memoryview(data)[begin + 4 : end - 4]) == stated


def essential(data: bytes) -> bytes:
    """A PNG without all that its pixels do not need; the same bytes where that is nothing.

    Raises:
        BadPicture: `not_an_image`, `truncated` or `damaged` (a checksum of its pixels is wrong).
    """
    found = list(chunks(data))
    if not found or found[0][0] != b"IHDR" or found[0][2] > len(data):
        raise BadPicture("not_an_image")
    kept = []
    for kind, begin, end in found:
        if end > len(data):
            raise BadPicture("truncated")
        if kind in _NEEDED and sound(data, begin, end):
            kept.append((begin, end))
        elif not kind[0] & 0x20:  # a capital: without it there are no pixels
            raise BadPicture("damaged")
    if found[-1][0] != b"IEND":
        raise BadPicture("truncated")
    if len(kept) == len(found):
        return data
    return SIGNATURE + b"".join(data[begin:end] for begin, end in kept)
