"""What object stores and their libraries say when they cannot be reached, in one line."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import fsspec
from fsspec.exceptions import FSTimeoutError

from miner.core.errors import Refused

ANSWER_S = 15  # that a store may take for its first answer; later ones their libraries wait out

# Their errors are no OSErrors, and nobody here wants to import them to name them.
_LIBRARIES = frozenset(
    {"adlfs", "aiobotocore", "aiohttp", "azure", "botocore", "gcsfs", "google", "huggingface_hub"}
)
# Stores of objects, which have no folders to make: asked for one, they make a bucket.
OBJECTS = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oss", "r2", "hf"})


def unreachable(error: BaseException) -> str:
    """Why a store cannot be asked; "" for an error that is another matter."""
    modules = {kind.__module__.partition(".")[0] for kind in type(error).__mro__}
    if not modules & _LIBRARIES:
        return ""
    return " ".join(str(error).split()) or type(error).__name__


@contextlib.contextmanager
def reached(url: str) -> Iterator[None]:
    """Turn what a store says of keys, rights and addresses into one line.

    Raises:
        Refused: the store does not answer, or lets nobody in.
    """
    try:
        yield
    except Refused:
        raise
    except FSTimeoutError:
        raise Refused(f"{url}: no answer within {ANSWER_S} s") from None
    except PermissionError as error:
        if "://" not in url:
            raise
        raise Refused(f"{url}: {' '.join(str(error).split())}") from None
    except Exception as error:
        if not (why := unreachable(error)):
            raise
        raise Refused(f"{url}: {why}") from None


def listed(fs: Any, path: str) -> None:
    """List a folder, the first thing that is asked of a store: it may not take for ever.

    Libraries try a server that is not there again and again, some for many minutes.

    Args:
        fs: of fsspec.
        path: as `fs` spells it.

    Raises:
        FSTimeoutError: there is no answer within `ANSWER_S`.
    """
    if fs.async_impl:
        fsspec.asyn.sync(fs.loop, fs._ls, path, detail=False, timeout=ANSWER_S)
    else:
        fs.ls(path, detail=False)


def answers(url: str, called: str) -> None:
    """Find out whether the store of an input answers; what lies in it is another matter.

    Args:
        url: local path or fsspec URL.
        called: what a message begins with.

    Raises:
        Refused: it does not, or lets nobody in, or there is no store of this scheme.
    """
    if "://" not in url:
        return
    try:
        fs, path = fsspec.core.url_to_fs(url)
    except (ValueError, ImportError) as error:
        raise Refused(f"{called}: {error}") from None
    with reached(called), contextlib.suppress(FileNotFoundError, NotADirectoryError):
        listed(fs, path)
