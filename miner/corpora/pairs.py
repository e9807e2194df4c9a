"""A folder of pictures, each with a text file of the same stem, at any depth."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any, Literal

from miner.core.errors import Refused
from miner.core.names import plain
from miner.core.regular import LeadsOut
from miner.core.store import Store
from miner.corpora.config import CorpusConfig, corpus_name
from miner.corpora.corpus_folder import corpus_folder
from miner.corpora.images import check
from miner.corpora.part import CorpusPart, Listing
from miner.corpora.rows import Entry, Picture, Place, Reader, Row, clean, hash64

SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp", ".gif")


class PairsConfig(CorpusConfig):
    """A folder of pictures, each with a text file of the same stem."""

    kind: Literal["pairs"]


class Pairs(Reader):
    """Reader of a folder; see `miner.corpora.rows.Reader`. A picture is a row.

    Raises:
        Refused: no picture has a text.
    """

    tables: tuple[str, ...] = ("",)

    def __init__(self, config: PairsConfig):
        self.config = config
        self.folder, file = corpus_folder(config.path, corpus_name(config))
        if file:
            raise Refused(f"{self.folder.field}: {config.path}: expected a folder")
        files = sorted(self.folder.walk())
        self._texts = {plain(n[: -len(".txt")]): n for n in files if n.lower().endswith(".txt")}
        self._pictures = [n for n in files if n.lower().endswith(SUFFIXES)]
        if not any(_stem(n) in self._texts for n in self._pictures):
            raise Refused(
                f"{self.folder.field}: {config.path}: expected pictures beside .txt files of the "
                f"same stem, found {len(self._pictures)} pictures and {len(self._texts)} texts"
            )

    def fingerprint(self) -> list[Any]:
        """Of the names; texts and pictures are read when their unit is."""
        names = "\0".join([*self._pictures, "", *sorted(self._texts)])
        return [hashlib.sha256(names.encode("utf-8", "surrogateescape")).hexdigest()]

    def scan(self, table: int, start: int, problems: list[str]) -> Iterator[Entry]:
        """Pictures in the order of their names."""
        for at in range(start, len(self._pictures)):
            image = hash64(self._pictures[at])
            yield Entry(at, 1, image, image)

    def rows(self, places: list[Place]) -> list[Row]:
        """Names and texts."""
        rows = []
        for place in places:
            name = self._pictures[place.offset]
            stem = _stem(name)
            row = Row(place.row, image=clean(name)[0], group=clean(stem)[0], where=name)
            rows.append(row)
            if stem not in self._texts:
                row.fail("unreadable", "missing_text")
                continue
            try:
                data = self.folder.read(self._texts[stem])
            except LeadsOut:
                row.fail("unreadable", "outside_folder")
                continue
            except OSError:
                row.fail("unreadable", "unreadable_file")
                continue
            text, bad = clean(data.decode("utf-8-sig", "surrogateescape"))
            row.caption = text.strip("\r\n")
            if bad:
                row.fail("unreadable", "bad_utf8")
        return rows

    def pictures(self, rows: list[Row], store: Store) -> dict[str, Picture]:
        """Read and check pictures."""
        result = {}
        for row in rows:
            try:
                data = self.folder.read(row.where)
            except LeadsOut:
                result[row.image] = Picture(status="unreadable", reason="outside_folder")
            except OSError:
                result[row.image] = Picture(status="unreadable", reason="unreadable_file")
            else:
                result[row.image] = check(data, self.config.max_pixels)
        return result


def _stem(name: str) -> str:
    return plain(name.rpartition(".")[0])


def _detect(listing: Listing) -> dict[str, Any] | None:
    if listing.file:
        return None
    pictures, texts = set(), set()
    for name in listing.folder.walk():
        if name.lower().endswith(SUFFIXES):
            pictures.add(_stem(name))
        elif name.lower().endswith(".txt"):
            texts.add(_stem(name))
    return {} if pictures & texts else None


PART = CorpusPart(
    kind="pairs",
    Settings=PairsConfig,
    build=lambda config, threads: Pairs(config),
    detect=_detect,
    general=True,
)
