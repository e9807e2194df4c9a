"""What makes a reader a part: beside settings and class, how it knows its corpus from a folder."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from miner.core.parts import Part
from miner.corpora.config import CorpusConfig
from miner.corpora.corpus_folder import Folder
from miner.corpora.json_list import NotAList, json_table
from miner.corpora.tables import columns_of, foreign

# Columns that hold a picture's name, and a caption, in tables without a layout of their own; case,
# blanks, `_` and `-` make no difference.
IMAGE = (
    *("image", "image_path", "image_file", "image_name", "img", "img_path", "file_name", "file"),
    *("path", "file_path", "picture", "tile", "figure_path"),
)
CAPTION = ("caption", "text", "description", "findings", "report", "report_text", "title")


class Listing:
    """What lies at a path.

    Attributes:
        folder: the folder, or that of the file.
        file: name of the file where the path is one, else "".
        names: files directly in it, or the file alone.
        folders: folders directly in it; none beside a file.
    """

    def __init__(self, folder: Folder, file: str = ""):
        self.folder, self.file = folder, file
        entries = [] if file else folder.entries()
        self.names = [file] if file else [n for n, is_dir in entries if not is_dir]
        self.folders = [n for n, is_dir in entries if is_dir]
        self.fields = functools.cache(self._fields)

    def _fields(self, name: str) -> frozenset[str]:
        """Fields of a table's first records; none where it is no table."""
        suffix = name.rpartition(".")[2].lower()
        if suffix not in ("csv", "tsv", "json", "jsonl", "ndjson") or foreign(self.folder, name):
            return frozenset()
        with self.folder.open(name) as file:
            if suffix in ("csv", "tsv"):
                return frozenset(columns_of(file)) - {""}
            try:
                first = list(itertools.islice(json_table(file), 3))
            except NotAList:
                return frozenset()
        return frozenset(
            f for record in first if isinstance(record.value, dict) for f in record.value
        )


def first_of(names: Iterable[str], there: Iterable[str]) -> str:
    """The first of some names that is there, as it is spelled there, else ""."""
    names_there = list(there)
    found = {_plain(name): name for name in names_there} | {name: name for name in names_there}
    spelled = (found.get(name) or found.get(_plain(name)) for name in names)
    return next((name for name in spelled if name), "")


def _plain(name: str) -> str:
    return "".join(c for c in name.casefold() if c not in " _-")


def _unknown(listing: Listing) -> Mapping[str, Any] | None:
    return None


@dataclasses.dataclass(frozen=True, kw_only=True)
class CorpusPart(Part):
    """A reader; `build` gives a `miner.corpora.rows.Reader`.

    Attributes:
        Settings: what all corpora have, and its own.
        detect: settings, but kind and path, that read what lies there; None where it is no such
            corpus.
        general: it reads any files of a sort, not one publisher's: asked after all others, and not
            believed of a folder of corpora.
        configuration: of those that ship, the one to mine it with.
    """

    Settings: type[CorpusConfig]
    detect: Callable[[Listing], Mapping[str, Any] | None] = _unknown
    general: bool = False
    configuration: str = "quickstart.yaml"
