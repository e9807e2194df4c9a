"""What object stores and their libraries say when they cannot be reached, in one line."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from miner.core.errors import Refused

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
    except PermissionError as error:
        if "://" not in url:
            raise
        raise Refused(f"{url}: {' '.join(str(error).split())}") from None
    except Exception as error:
        if not (why := unreachable(error)):
            raise
        raise Refused(f"{url}: {why}") from None
