"""Reading files that somebody else put there: regular ones only, and only so much of them."""

from __future__ import annotations

import errno
import os
import stat
from typing import IO

# No picture, caption or table of captions that is read as a whole is larger.
MAX_FILE_BYTES = 1 << 28


class LeadsOut(OSError):
    """A link that leads out of the folder whose files are read."""


def open_regular(path: str, home: str = "") -> IO[bytes]:
    """Open a file for reading; a pipe or a device would keep the reader waiting for ever.

    Args:
        path: the file.
        home: folder that a link must not lead out of; "" for none.

    Raises:
        LeadsOut: it is a link to a file elsewhere.
        OSError: it is not there, cannot be read, or is no regular file.
    """
    if home and os.path.islink(path) and not _below(os.path.realpath(path), home):
        raise LeadsOut(errno.EACCES, "a link that leads out of its folder", path)
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "no regular file", path)
    return open(handle, "rb", buffering=1 << 20)


def read_regular(path: str, home: str = "") -> bytes:
    """Read a whole file.

    Raises:
        OSError: as for `open_regular`, or it is larger than `MAX_FILE_BYTES`.
    """
    with open_regular(path, home) as file:
        data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise OSError(errno.EFBIG, "too large", path)
    return data


def _below(target: str, home: str) -> bool:
    """Whether a file lies below a folder, or where the hub's cache keeps what the folder links."""
    real = os.path.realpath(home)
    roots = [real]
    cache, _, _ = real.partition("/snapshots/")
    if cache != real:
        roots.append(f"{cache}/blobs")
    return any(target.startswith(root.rstrip("/") + "/") for root in roots)
