"""Members of tars, also behind damage: what is lost is said, and what follows is found."""

from __future__ import annotations

import contextlib
import tarfile
from collections.abc import Iterator
from typing import IO, NamedTuple

_BLOCK = tarfile.BLOCKSIZE
_CHUNK = 1 << 20
# Where a header says that it is one; Python and GNU tar, libarchive and webdataset all write it.
_MAGIC, _MAGIC_AT = b"ustar", 257


class Member(NamedTuple):
    """A regular file in a tar.

    Attributes:
        name: as the tar has it.
        begin: offset of its first header.
        data: offset of its content.
        size: bytes of its content.
        end: offset of the next header.
        sparse: its content is not stored as it is.
    """

    name: str
    begin: int
    data: int
    size: int
    end: int
    sparse: bool


def members(file: IO[bytes], start: int, stop: int | None, problems: list[str]) -> Iterator[Member]:
    """Regular files of a tar.

    `tarfile` ends at the first header that is damaged, as if the tar ended there. Here the rest is
    searched for the next one.

    Args:
        file: the tar.
        start: offset of a header.
        stop: offset at which to stop, None for the end of the file.
        problems: gets a line for each stretch that is no tar, and for an end that is missing.
    """
    at: int | None = start
    while at is not None and (stop is None or at < stop):
        end = at
        # tarfile raises whatever a damaged header leads it to.
        with contextlib.suppress(Exception):
            file.seek(at)
            with tarfile.open(fileobj=file, mode="r:") as tar:
                for info in tar:
                    end = tar.offset
                    if stop is not None and info.offset >= stop:
                        return
                    if info.isreg():
                        sparse = info.issparse()
                        yield Member(
                            info.name, info.offset, info.offset_data, info.size, end, sparse
                        )
                    tar.members = []  # type: ignore[attr-defined]  # else all stay in memory
        at = _behind(file, end, stop, problems)


def _behind(file: IO[bytes], end: int, stop: int | None, problems: list[str]) -> int | None:
    """The next header behind a place where a tar seems to end, None where there is none."""
    begin, zeros = end, 0
    file.seek(end)
    while chunk := file.read(_CHUNK):
        ink = len(chunk) - len(chunk.lstrip(b"\0"))
        zeros += ink
        if ink < len(chunk):
            begin += ink
            break
        begin += len(chunk)
    else:
        if zeros < _BLOCK and stop is None:
            problems.append(f"the tar breaks off at byte {begin}; was its download cut short?")
        return None
    found = _header(file, max(end, begin - begin % _BLOCK), stop)
    lost = f"to {found}" if found is not None else "on"
    problems.append(f"from byte {end} {lost} this is no tar: what lay there is lost")
    return found


def _header(file: IO[bytes], start: int, stop: int | None) -> int | None:
    """Offset of the first header at or behind `start`."""
    at, window = start, b""
    file.seek(start)
    while chunk := file.read(_CHUNK):
        window += chunk
        found = window.find(_MAGIC)
        while found >= 0:
            begin = found - _MAGIC_AT
            if begin >= 0 and begin + _BLOCK <= len(window):
                if stop is not None and at + begin >= stop:
                    return None
                with contextlib.suppress(tarfile.HeaderError, ValueError):
                    tarfile.TarInfo.frombuf(
                        window[begin : begin + _BLOCK], "utf-8", "surrogateescape"
                    )
                    return at + begin
            found = window.find(_MAGIC, found + 1)
        kept = min(len(window), 2 * _BLOCK)
        at += len(window) - kept
        window = window[-kept:]
    return None
