"""Which reader reads which kind of corpus."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from miner.corpora.config import AnyCorpus
from miner.corpora.rows import Reader


def _quilt(config: Any) -> Reader:
    from miner.corpora.quilt import Quilt

    return Quilt(config)


def _pathcap(config: Any) -> Reader:
    from miner.corpora.pathcap import PathCap

    return PathCap(config)


def _pathgen(config: Any) -> Reader:
    from miner.corpora.pathgen import PathGen

    return PathGen(config)


READERS: dict[str, Callable[[Any], Reader]] = {
    "quilt": _quilt,
    "pathcap": _pathcap,
    "pathgen": _pathgen,
}


def reader(config: AnyCorpus) -> Reader:
    """Open a corpus.

    Raises:
        Refused: its files are not where the configuration says, or are not what it says.
    """
    return READERS[config.kind](config)
