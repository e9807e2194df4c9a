"""Settings of a corpus."""

from typing import Literal

from miner.settings import Settings


class CorpusConfig(Settings):
    """One corpus to read.

    Attributes:
        kind: which layout the files have.
        path: folder (or file, or fsspec URL) as published.
        name: name in the ledger and in keys; the kind when empty.
    """

    kind: Literal["quilt", "pathcap", "pathgen"]
    path: str
    name: str = ""
