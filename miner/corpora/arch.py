"""ARCH: `{books,pubmed}_set/captions.json` beside `images/{uuid}.png|jpg`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np

from miner.core.errors import Refused
from miner.core.store import Store
from miner.corpora.config import CorpusConfig, corpus_name
from miner.corpora.corpus_folder import Folder, corpus_folder
from miner.corpora.images import check
from miner.corpora.json_list import NotAList
from miner.corpora.json_members import json_members
from miner.corpora.locations import Locations
from miner.corpora.part import CorpusPart, Listing
from miner.corpora.rows import Entry, Picture, Place, Reader, Row, clean, hash64
from miner.corpora.tables import table_fingerprints, text_table

_SUFFIXES = (".png", ".jpg", ".jpeg")


class ArchConfig(CorpusConfig):
    """ARCH: `{books,pubmed}_set/captions.json` and `images/{uuid}.png|jpg`."""

    kind: Literal["arch"]


class Arch(Reader):
    """Reader of ARCH; see `miner.corpora.rows.Reader`.

    Raises:
        Refused: no captions.json, or it is no JSON object.
    """

    def __init__(self, config: ArchConfig):
        self.config = config
        name = corpus_name(config)
        self.folder, file = corpus_folder(config.path, name)
        sets = [n for n, is_dir in self.folder.entries() if is_dir]
        names = (file,) if file else ("captions.json", *(f"{s}/captions.json" for s in sets))
        self.tables = tuple(n for n in names if self.folder.isfile(n))
        if not self.tables:
            raise Refused(
                f"{self.folder.field}: {config.path}: expected books_set/captions.json and "
                f"pubmed_set/captions.json, found {', '.join(sets[:4]) or 'no folders'}"
            )
        self._problems: list[list[str]] = [[] for _ in self.tables]
        self._records = [
            _read(self.folder, t, found)
            for t, found in zip(self.tables, self._problems, strict=True)
        ]
        parents = [t.rpartition("/")[0] for t in self.tables]
        self.images = Locations(
            self.folder,
            [f"{p}/images" if p else "images" for p in parents],
            (),
            self.folder.field,
            f"plan/{name}",
        )

    def fingerprint(self) -> list[Any]:
        """Of the caption files."""
        return table_fingerprints(self.folder, self.tables)

    def scan(self, table: int, start: int, problems: list[str]) -> Iterator[Entry]:
        """Rows of a set; panels of a figure belong together."""
        problems += self._problems[table]
        for at, (key, value) in enumerate(self._records[table]):
            if at >= start:
                row = _row(0, key, value)
                yield Entry(at, 1, hash64(row.group), hash64(row.image))

    def rows(self, places: list[Place]) -> list[Row]:
        """Records by their number in the file."""
        return [_row(p.row, *self._records[p.table][p.offset]) for p in places]

    def lacking(self, images: np.ndarray, groups: np.ndarray) -> np.ndarray:
        """Those without a file of that stem."""
        return self.images.lacking(images, lambda name: hash64(name.rpartition(".")[0]))

    def pictures(self, rows: list[Row], store: Store) -> dict[str, Picture]:
        """Read and check pictures."""
        found = self.images.read([r.image + s for r in rows for s in _SUFFIXES], store)
        result = {}
        for row in rows:
            answers = [found[row.image + s] for s in _SUFFIXES]
            data = next((a for a in answers if isinstance(a, bytes)), None)
            if data is None:
                reason = next((a for a in answers if a != "missing_image"), "missing_image")
                result[row.image] = Picture(status="unreadable", reason=str(reason))
            else:
                result[row.image] = check(data, self.config.max_pixels)
        return result


def _read(folder: Folder, table: str, problems: list[str]) -> list[tuple[str, Any]]:
    where = f"{folder.field}: {folder.path(table)}"
    text_table(folder, table)
    try:
        text = folder.read(table).decode("utf-8-sig", "surrogateescape")
        return json_members(text, problems)
    except NotAList as found:
        raise Refused(
            f'{where}: expected a JSON object of {{"caption", "uuid"}} records, found {found}'
        ) from None


def _row(number: int, key: str, value: Any) -> Row:
    row = Row(number, source="ARCH")
    if not isinstance(value, dict):
        row.image = row.group = clean(key)[0]
        return row.fail("unreadable", "malformed_json" if value is None else "no_json_object")
    text = value.get("caption")
    row.caption, bad = clean(text if isinstance(text, str) else "")
    row.image = clean(str(value.get("uuid") or ""))[0]
    figure = value.get("figure_id")
    row.group = clean(str(figure))[0] if figure not in (None, "") else row.image
    if value.get("letter"):
        row.meta["panel"] = clean(str(value["letter"]))[0]
    if not row.image:
        row.fail("unreadable", "bad_name")
    if text is not None and not isinstance(text, str):
        row.fail("unreadable", "caption_is_no_text")
    return row.fail("unreadable", "bad_utf8") if bad else row


def _detect(listing: Listing) -> dict[str, Any] | None:
    sets = (f"{name}/captions.json" for name in listing.folders if name.endswith("_set"))
    found = "captions.json" in listing.names or any(map(listing.folder.isfile, sets))
    return {} if found else None


PART = CorpusPart(
    kind="arch",
    Settings=ArchConfig,
    build=lambda config, threads: Arch(config),
    detect=_detect,
    title="ARCH",
    cite="Gamper and Rajpoot, Multiple Instance Captioning: Learning Representations from "
    "Histopathology Textbooks and Articles, CVPR 2021",
)
