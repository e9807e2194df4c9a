"""Histomine: grounded pseudo-labels from pathology image-caption corpora.

What notebooks and scripts use is here; see docs/python.md.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from miner.version import __version__

if TYPE_CHECKING:
    from miner.mined import Mined

__all__ = ["__version__", "open"]


def open(out: str | os.PathLike[str]) -> Mined:
    """Open what a run mined.

    Args:
        out: OUT of a finished run: a folder or fsspec URL.

    Raises:
        Refused: no run was started there, or it has not finished.
    """
    from miner.mined import Mined

    return Mined(out)
