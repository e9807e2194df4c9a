"""WebDataset tars of a picture and a text per sample; also the shards this package writes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, Literal

from miner.core.names import hidden, plain
from miner.core.regular import MAX_FILE_BYTES
from miner.core.store import Store
from miner.corpora.config import CorpusConfig, corpus_name
from miner.corpora.corpus_folder import corpus_folder
from miner.corpora.images import check
from miner.corpora.json_list import load_json
from miner.corpora.part import CorpusPart, Listing
from miner.corpora.rows import Entry, Picture, Place, Reader, Row, clean, hash64, read_mpp
from miner.corpora.tables import find_tables, table_fingerprints
from miner.corpora.tars import members

_SUFFIXES = ("jpg", "jpeg", "png", "webp", "tif", "tiff", "bmp")


class WebDatasetConfig(CorpusConfig):
    """WebDataset tars of a picture and a text.

    Attributes:
        text: member with the caption (`txt`, or `json` with a `caption` field).
        caption_field: field of the JSON member that holds the caption.
    """

    kind: Literal["webdataset"]
    text: str = "txt"
    caption_field: str = "caption"


class WebDataset(Reader):
    """Reader of a folder of tars; see `miner.corpora.rows.Reader`.

    Raises:
        Refused: there is no tar.
    """

    def __init__(self, config: WebDatasetConfig):
        self.config = config
        self.folder, file = corpus_folder(config.path, corpus_name(config))
        self.tables = find_tables(self.folder, file, ("*.tar",), "*.tar")

    def fingerprint(self) -> list[Any]:
        """Of the tars."""
        return table_fingerprints(self.folder, self.tables)

    def scan(self, table: int, start: int, problems: list[str]) -> Iterator[Entry]:
        """Samples of a tar: runs of members with one key."""
        with self.folder.open(self.tables[table]) as file:
            key, begin, end = "", start, start
            for member in members(file, start, None, problems):
                if hidden(member.name):
                    continue
                found, _ = _key(member.name)
                if found != key and end > begin:
                    yield self._entry(table, key, begin, end)
                    begin = member.begin
                key, end = found, member.end
            if end > begin:
                yield self._entry(table, key, begin, end)

    def _entry(self, table: int, key: str, begin: int, end: int) -> Entry:
        image = hash64(self.tables[table], key)
        return Entry(begin, end - begin, image, image)

    def rows(self, places: list[Place]) -> list[Row]:
        """Read samples; each row holds its picture's bytes."""
        return [self._row(place) for place in places]

    def pictures(self, rows: list[Row], store: Store) -> dict[str, Picture]:
        """Check pictures."""
        return {row.image: check(row.where, self.config.max_pixels) for row in rows}

    def _row(self, place: Place) -> Row:
        row = Row(place.row)
        table = self.tables[place.table]
        parts: dict[str, bytes] = {}
        name = ""
        with self.folder.open(table) as file:
            for member in members(file, place.offset, place.offset + place.length, []):
                if hidden(member.name):
                    continue
                name, suffix = _key(member.name)
                if member.sparse:
                    row.fail("unreadable", "unsupported_compression")
                elif member.size > MAX_FILE_BYTES:
                    row.fail("unreadable", "member_too_large")
                else:
                    file.seek(member.data)
                    parts[suffix] = file.read(member.size)
                    if len(parts[suffix]) < member.size:
                        row.fail("unreadable", "truncated_tar")
        suffix = next((s for s in _SUFFIXES if s in parts), "")
        stem = clean(f"{table.removesuffix('.tar')}/{name}")[0]
        row.image = f"{stem}.{suffix}" if suffix else stem
        row.group = stem
        row.where = parts.get(suffix, b"")
        if not suffix:
            row.fail("unreadable", "missing_image")
        self._text(row, parts)
        return row

    def _text(self, row: Row, parts: dict[str, bytes]) -> None:
        side: Any = {}
        if "json" in parts:
            try:
                side = load_json(parts["json"].decode("utf-8-sig", "surrogateescape"))
            except ValueError:
                row.fail("unreadable", "malformed_json")
        side = side if isinstance(side, dict) else {}
        if self.config.text in parts and self.config.text != "json":
            text: Any = parts[self.config.text].decode("utf-8-sig", "surrogateescape")
        elif self.config.caption_field in side:
            text = side[self.config.caption_field]
        else:
            row.fail("unreadable", "missing_text")
            return
        if not isinstance(text, str):
            row.fail("unreadable", "caption_is_no_text")
            return
        row.caption, bad = clean(text)
        if bad:
            row.fail("unreadable", "bad_utf8")
        if isinstance(side.get("group"), str) and side["group"]:
            row.group = clean(side["group"])[0]
        for key in ("source", "license"):
            if isinstance(side.get(key), str):
                row.meta[key] = clean(side[key])[0]
        row.source = row.meta.pop("source", "")
        if read_mpp(side.get("mpp")) is not None:
            row.meta["mpp"] = side["mpp"]


def _key(name: str) -> tuple[str, str]:
    """A member's key, its path up to the first dot of the base name, and its suffix."""
    folder, slash, base = plain(name).rpartition("/")
    stem, _, suffix = base.partition(".")
    return folder + slash + stem, suffix.lower()


def _detect(listing: Listing) -> dict[str, Any] | None:
    for name in listing.names:
        if not name.endswith(".tar"):
            continue
        with listing.folder.open(name) as file:
            shown = (m.name for m in members(file, 0, None, []) if not hidden(m.name))
            found = list(itertools.islice(shown, 8))
        if any(m.endswith(".txt") for m in found):
            return {}
        if any(m.endswith(".json") for m in found):
            return {"text": "json"}
    return None


PART = CorpusPart(
    kind="webdataset",
    Settings=WebDatasetConfig,
    build=lambda config, threads: WebDataset(config),
    detect=_detect,
    general=True,
)
