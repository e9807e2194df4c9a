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


def _arch(config: Any) -> Reader:
    from miner.corpora.arch import Arch

    return Arch(config)


def _pairs(config: Any) -> Reader:
    from miner.corpora.pairs import Pairs

    return Pairs(config)


def _webdataset(config: Any) -> Reader:
    from miner.corpora.webdataset import WebDataset

    return WebDataset(config)


def _hf(config: Any) -> Reader:
    from miner.corpora.hf import Hf

    return Hf(config)


def _table(config: Any) -> Reader:
    from miner.corpora.table import Table

    return Table(config)


READERS: dict[str, Callable[[Any], Reader]] = {
    "quilt": _quilt,
    "pathcap": _pathcap,
    "pathgen": _pathgen,
    "arch": _arch,
    "pairs": _pairs,
    "webdataset": _webdataset,
    "hf": _hf,
    "table": _table,
}


def reader(config: AnyCorpus) -> Reader:
    """Open a corpus.

    Raises:
        Refused: its files are not where the configuration says, or are not what it says.
    """
    return READERS[config.kind](config)
