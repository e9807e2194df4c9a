"""Deterministic tar bytes: plain ustar headers, fixed metadata, nothing that depends on the day."""

from __future__ import annotations

import tarfile

BLOCK = 512
END = bytes(2 * BLOCK)


def header(name: str, size: int) -> bytes:
    """512-byte ustar header of a regular file: mode 0644, owner 0, time 0.

    Raises:
        ValueError: the name or the size does not fit (a pax header would have to be added).
    """
    info = tarfile.TarInfo(name)
    info.size = size
    block = info.tobuf(tarfile.USTAR_FORMAT, "ascii", "strict")
    if len(block) != BLOCK:
        raise ValueError(f"{name}: does not fit into a ustar header")
    return block


def padding(size: int) -> bytes:
    """Zero bytes that fill the last block of a member."""
    return bytes(-size % BLOCK)
