"""The one exception that users see as one line, and whose fault the others are."""

import errno

from miner.core.shown import shown

_LONGEST = 2000


class Refused(Exception):
    """Something the user must change: a wrong path, an unknown key, a missing model.

    The message is one line that names file and field. The command line prints it without a
    traceback and exits with 2. Addresses in it lose their passwords and keys; what is longer than
    anybody reads, since a value in it is, loses its middle.
    """

    def __init__(self, message: object = ""):
        line = shown(str(message))
        if len(line) > _LONGEST:
            line = f"{line[: _LONGEST // 2]} … {line[-_LONGEST // 2 :]}"
        super().__init__(line)


# What the machine refuses, not the program.
DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG})
# What it may get over: a failing disk or server of files, too many files open.
PASSING = frozenset({errno.EIO, errno.EMFILE, errno.ENFILE, errno.ESTALE})

# Libraries with an allocator of their own say it in their own words.
_NO_MEMORY = ("out of memory", "can't allocate memory", "insufficient memory")


def lacks_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out: nothing that a picture could be blamed for."""
    if isinstance(error, MemoryError):
        return True
    return isinstance(error, Exception) and any(w in str(error).lower() for w in _NO_MEMORY)
