"""Histomine, accepted samples to WebDataset shards, and back: loaders, validation, exporters.

What trainers use is here by name and imported on first use, so that `import shards` is cheap.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from miner.core.extras import installed
from miner.core.rooms import check_rooms

if TYPE_CHECKING:
    from shards.features import FEATURES
    from shards.load import GroundedCaptions, collate
    from shards.stream import GroundedStream, StreamLoader

_PLACES = {
    "FEATURES": "shards.features",
    "GroundedCaptions": "shards.load",
    "GroundedStream": "shards.stream",
    "StreamLoader": "shards.stream",
    "collate": "shards.load",
}
__all__ = ["FEATURES", "GroundedCaptions", "GroundedStream", "StreamLoader", "collate"]


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        check_rooms()
        with installed():
            return getattr(importlib.import_module(_PLACES[name]), name)
    raise AttributeError(f"module 'shards' has no attribute {name!r}")
