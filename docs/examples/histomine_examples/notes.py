"""A reader: pictures in Markdown files, `![Caption.](picture.png)`, as lab notes have them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal

from miner.core.store import Store
from miner.corpora.config import CorpusConfig, corpus_name
from miner.corpora.corpus_folder import corpus_folder
from miner.corpora.images import check
from miner.corpora.locations import Locations
from miner.corpora.part import CorpusPart, Listing
from miner.corpora.rows import Entry, Picture, Place, Reader, Row, hash64
from miner.corpora.tables import find_tables, pictures_of, table_fingerprints

IMG = re.compile(r"!\[([^\]]*)\]\(([^)\s]+)\)")


class NotesConfig(CorpusConfig):
    """Markdown files whose pictures have captions."""

    kind: Literal["notes"]


class Notes(Reader):
    """Reader of Markdown; captions of one picture belong together."""

    def __init__(self, config: NotesConfig, threads: int):
        self.config, name = config, corpus_name(config)
        self.folder, file = corpus_folder(config.path, name)
        self.tables = find_tables(self.folder, file, ("*.md",), "*.md")
        self.found = [IMG.findall(str(self.folder.read(t), errors="replace")) for t in self.tables]
        self.images = Locations(self.folder, (), ("",), self.folder.field, f"plan/{name}", True)

    def fingerprint(self) -> list[Any]:
        """Names, sizes and times of the files."""
        return table_fingerprints(self.folder, self.tables)

    def scan(self, table: int, start: int, problems: list[str]) -> Iterator[Entry]:
        """The pictures of a file, by their number."""
        for at, (_, image) in enumerate(self.found[table][start:], start):
            yield Entry(at, 1, hash64(image), hash64(image))

    def rows(self, places: list[Place]) -> list[Row]:
        """Captions and names of pictures."""
        return [Row(p.row, *self.found[p.table][p.offset][::-1]) for p in places]

    def pictures(self, rows: list[Row], store: Store) -> dict[str, Picture]:
        """Read and check pictures."""
        return pictures_of(rows, self.images, store, lambda d: check(d, self.config.max_pixels))


def _detect(at: Listing) -> dict[str, Any] | None:
    return {} if any(b"](" in at.folder.read(n) for n in at.names if n.endswith(".md")) else None


PART = CorpusPart(kind="notes", Settings=NotesConfig, build=Notes, detect=_detect, general=True)
