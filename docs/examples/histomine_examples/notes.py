"""A reader: pictures in Markdown files, `![Caption.](picture.png)`, as lab notes have them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal

from miner.corpora.config import PicturesConfig, corpus_name
from miner.corpora.corpus_folder import corpus_folder
from miner.corpora.in_files import InFiles
from miner.corpora.part import CorpusPart, Listing
from miner.corpora.rows import Entry, Place, Row, hash64
from miner.corpora.tables import find_tables

IMG = re.compile(r"!\[([^\]]*)\]\(([^)\s]+)\)")


class NotesConfig(PicturesConfig):
    """Markdown files whose pictures have captions."""

    kind: Literal["notes"]


class Notes(InFiles):
    """Reader of Markdown; captions of one picture belong together."""

    def __init__(self, config: NotesConfig, threads: int):
        folder, file = corpus_folder(config.path, corpus_name(config))
        tables = find_tables(folder, file, ("*.md",), "*.md")
        super().__init__(folder, tables, config, places=("",), relative=True)
        self.found = [IMG.findall(str(folder.read(t), errors="replace")) for t in tables]

    def scan(self, table: int, start: int, problems: list[str]) -> Iterator[Entry]:
        """The pictures of a file, by their number."""
        for at, (_, image) in enumerate(self.found[table][start:], start):
            yield Entry(at, 1, hash64(image), hash64(image))

    def rows(self, places: list[Place]) -> list[Row]:
        """Captions and names of pictures."""
        return [Row(p.row, *self.found[p.table][p.offset][::-1]) for p in places]


def _detect(at: Listing) -> dict[str, Any] | None:
    return {} if any(b"](" in at.folder.read(n) for n in at.names if n.endswith(".md")) else None


PART = CorpusPart(kind="notes", Settings=NotesConfig, build=Notes, detect=_detect, general=True)
