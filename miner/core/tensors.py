"""Checkpoints as plain tensors: nothing in the file is ever executed."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections.abc import Mapping
from typing import Any

import torch

from miner.core.errors import Refused


def read_tensors(path: str | os.PathLike[str], mmap: bool = False) -> Mapping[Any, Any]:
    """What a checkpoint holds, on the CPU.

    Args:
        path: `.safetensors`, or what `torch.save` wrote.
        mmap: leave the tensors on disk until they are used; of `torch.save` alone.

    Raises:
        Refused: missing, damaged, of another format, or a pickle that would run code.
    """
    where = os.fspath(path)
    try:
        if where.endswith(".safetensors"):
            from safetensors.torch import load_file

            return load_file(where)
        check_sums(where)
        found = torch.load(where, map_location="cpu", weights_only=True, mmap=mmap)
    except (MemoryError, Refused):
        raise
    except pickle.UnpicklingError:
        raise Refused(
            f"{where}: refused, it is damaged or holds more than plain tensors and would execute "
            "code when loaded"
        ) from None
    except Exception as error:  # a damaged file can raise anything in the readers' depths
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise Refused(
            f"{where}: no checkpoint of plain tensors, the file is truncated or of another format "
            f"({reason})"
        ) from None
    if not isinstance(found, Mapping):
        raise Refused(f"{where}: no checkpoint, it holds a {type(found).__name__}")
    return found


def check_sums(path: str) -> None:
    """Compare the sums that `torch.save` wrote beside the tensors, which `torch.load` does not.

    Raises:
        Refused: a tensor is not what was saved.
        zipfile.BadZipFile: a zip that ends too early.
    """
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as file:
            damaged = file.testzip()
        if damaged:
            raise Refused(f"{path}: damaged: {damaged} is not what was saved (CRC-32 differs)")
