"""Hugging Face datasets: parquet files, a `save_to_disk` folder, or a hub id."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Set
from typing import Any, Literal

from miner.core.errors import Refused
from miner.core.names import base, plain, spellings
from miner.core.store import Store
from miner.corpora.config import OUTSIDE, CorpusConfig, corpus_name
from miner.corpora.corpus_folder import Folder
from miner.corpora.images import check
from miner.corpora.parquet import (
    listed_schema,
    parquet_columns,
    parquet_rows,
    parquet_scan,
    pictures_in,
)
from miner.corpora.part import CAPTION, CorpusPart, Listing, first_of
from miner.corpora.rows import Entry, Picture, Place, Reader, Row, clean, hash64, scalars
from miner.corpora.splits import splits_of
from miner.corpora.tables import as_spelled, checked, table_fingerprints

COLUMNS = ("image", "caption")
_MAGIC = {b"\xff\xd8": "jpg", b"\x89P": "png", b"II": "tif", b"MM": "tif", b"RI": "webp"}


class HfConfig(CorpusConfig):
    """A Hugging Face dataset: parquet files, a `save_to_disk` folder or a hub id.

    Attributes:
        image: picture column (bytes, or the datasets library's struct of bytes and path).
        caption: text column.
        split: split to read; which files are of it is told as the datasets library does.
        image_paths: folders where pictures may lie besides `path`, of which the rows hold paths
            in the place of bytes.
    """

    kind: Literal["hf"]
    image: str = "image"
    caption: str = "caption"
    split: str = "train"
    image_paths: tuple[str, ...] = ()

    def incidental(self) -> Set[str]:
        """Pictures lie elsewhere, too."""
        return {*super().incidental(), "image_paths"}


class Hf(Reader):
    """Reader of a dataset; see `miner.corpora.rows.Reader`.

    Pictures lie in the rows, so which captions share one is told by their content.

    Raises:
        Refused: neither files nor a data set of that name, or a column is missing.
    """

    def __init__(self, config: HfConfig):
        self.config = config
        self.field = f"corpora.{corpus_name(config)}.path"
        self.folder = Folder(config.path, self.field)
        self.places = [self.folder.sub(p) for p in config.image_paths]
        for place in self.places:
            if not place.isdir():
                field = self.field.removesuffix("path") + "image_paths"
                raise Refused(f"{field}: {place.url}: no such folder")
        self._dataset: Any = None
        self.tables: tuple[str, ...] = ("",)
        if self.folder.isfile():
            parent, _, file = config.path.rpartition("/")
            self.folder, self.tables = Folder(parent or ".", self.field), (file,)
        elif self.folder.isdir() and not self._is_saved():
            splits = _splits(self.folder)
            if not splits:
                raise Refused(
                    f"{self.field}: {config.path}: expected parquet files or a save_to_disk folder"
                )
            self.tables = tuple(splits.get(config.split, ()))
            if not self.tables:
                raise self._no_split(splits)
        else:
            self._dataset = self._load()
        for table in self.tables:
            names = self._dataset.column_names if self._dataset else self._columns(table)
            checked(self.folder, table, names, (config.image, config.caption), "hf", COLUMNS)
            if table == self.tables[0]:
                self.config = config = as_spelled(config, COLUMNS, names)

    def _columns(self, table: str) -> list[str]:
        return parquet_columns(self.folder, table)

    def _is_saved(self) -> bool:
        return self.folder.isfile("dataset_dict.json") or self.folder.isfile("state.json")

    def _no_split(self, there: Iterable[str]) -> Refused:
        has = ", ".join(map(str, there))
        return Refused(
            f"{self.field}: {self.config.path}: no split {self.config.split!r}; has: {has}"
        )

    def _load(self) -> Any:
        import datasets

        path, split = self.config.path, self.config.split
        try:
            if self.folder.isdir():
                found = datasets.load_from_disk(path)
                if isinstance(found, datasets.DatasetDict):
                    if split not in found:
                        raise self._no_split(found)
                    found = found[split]
                elif found.split and str(found.split).partition("[")[0] != split:
                    raise self._no_split([found.split])
            else:
                found = datasets.load_dataset(path, split=split)
            if self.config.image in found.column_names:
                found = found.cast_column(self.config.image, datasets.Image(decode=False))
        except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
            reason = " ".join(str(error).split())[:200]
            raise Refused(f"{self.field}: {path}: no such files or data set ({reason})") from None
        return found

    def fingerprint(self) -> list[Any]:
        """Of the files, or the data set's own."""
        if self._dataset is not None:
            return [self._dataset._fingerprint]
        return table_fingerprints(self.folder, self.tables)

    def scan(self, table: int, start: int, problems: list[str]) -> Iterator[Entry]:
        """Rows; those with the same picture belong together."""
        column = self.config.image
        values: Iterator[tuple[int, Any]]
        if self._dataset is not None:
            images = self._dataset.select_columns([column])
            values = ((at, images[at]) for at in range(start, len(images)))
        else:
            values = parquet_scan(self.folder, self.tables[table], [column], start)
        for at, value in values:
            image = hash64(self._image(value)[0])
            yield Entry(at, 1, image, image)

    def rows(self, places: list[Place]) -> list[Row]:
        """Read rows; each holds its picture's bytes."""
        values: list[Any]
        if self._dataset is not None:
            values = [self._dataset[p.offset] for p in places]
        else:
            values = parquet_rows(self.folder, self.tables, places)
        rows = []
        for place, value in zip(places, values, strict=True):
            row = Row(place.row)
            rows.append(row)
            if isinstance(value, str):
                row.fail("unreadable", value)
                continue
            row.image, row.where = self._image(value)
            row.group = row.image
            self._read(row, value)
            if row.where is None:
                row.fail("unreadable", "missing_image" if self._inside(value) else OUTSIDE)
        return rows

    def _read(self, row: Row, value: Mapping[str, Any]) -> None:
        """Take the text and the side columns of a record."""
        text = value.get(self.config.caption)
        row.caption, bad = clean(text if isinstance(text, str) else "")
        if text is not None and not isinstance(text, str):
            row.fail("unreadable", "caption_is_no_text")
        if bad:
            row.fail("unreadable", "bad_utf8")
        row.meta = scalars(value, (self.config.image, self.config.caption))

    def pictures(self, rows: list[Row], store: Store) -> dict[str, Picture]:
        """Check pictures."""
        return {row.image: check(row.where, self.config.max_pixels) for row in rows}

    def _image(self, value: Any) -> tuple[str, bytes | None]:
        """Name (stem as published, and a hash of the content) and bytes of a row's picture."""
        cell = value.get(self.config.image)
        path, data = (cell.get("path"), cell.get("bytes")) if isinstance(cell, dict) else ("", cell)
        if not isinstance(data, bytes):
            data = self._file(path) if isinstance(path, str) and path else None
        digest = hashlib.sha256(data or b"").hexdigest()[:12]
        suffix = _MAGIC.get((data or b"")[:2], "bin")
        stem = base(path).rpartition(".")[0] if isinstance(path, str) else ""
        return clean(f"{stem}-{digest}.{suffix}" if stem else f"{digest}.{suffix}")[0], data

    def _file(self, path: str) -> bytes | None:
        """A picture beside the table or below `image_paths`; nothing outside of them is read."""
        for folder, names in self._ways(path):
            for name in names:
                with contextlib.suppress(OSError, ValueError):
                    return folder.read(name)
        return None

    def _ways(self, path: str) -> Iterator[tuple[Folder, tuple[str, ...]]]:
        """Folders that a path may lie in, and its spellings there."""
        whole = plain(path)
        for folder in (self.folder, *self.places):
            inside = folder.below(whole) or whole
            if not (inside.startswith("/") or "://" in inside or ".." in inside.split("/")):
                yield folder, spellings(path if inside == whole else inside)

    def _inside(self, value: Mapping[str, Any]) -> bool:
        """Whether a row's picture is named, if it is by a path, where pictures may lie."""
        cell = value.get(self.config.image)
        path = cell.get("path") if isinstance(cell, dict) else cell
        return not (isinstance(path, str) and path) or any(True for _ in self._ways(path))


def _detect(listing: Listing) -> dict[str, Any] | None:
    if {"dataset_dict.json", "state.json"} & set(listing.names):
        return {}
    schema = listed_schema(listing)
    caption = first_of(CAPTION, schema.names)
    held = pictures_in(schema)
    if not held or not caption:
        return None
    settings = {"image": held[0], "caption": caption}
    splits = {} if listing.file else _splits(listing.folder)
    return settings | ({"split": min(splits)} if splits and "train" not in splits else {})


def _splits(folder: Folder) -> dict[str, list[str]]:
    """Parquet files of each split; empty where there are none."""
    files = sorted(n for n in folder.walk() if n.endswith(".parquet"))
    return splits_of(folder, files) if files else {}


PART = CorpusPart(
    kind="hf",
    Settings=HfConfig,
    build=lambda config, threads: Hf(config),
    detect=_detect,
    general=True,
)
