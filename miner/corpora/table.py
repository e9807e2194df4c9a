"""Any CSV, TSV, JSON, JSON-lines or parquet table with picture names and captions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from miner.core.errors import Refused
from miner.core.names import plain
from miner.corpora.config import PicturesConfig, corpus_name
from miner.corpora.corpus_folder import corpus_folder
from miner.corpora.in_files import InFiles
from miner.corpora.parquet import (
    listed_schema,
    parquet_columns,
    parquet_rows,
    parquet_scan,
    pictures_in,
)
from miner.corpora.part import CAPTION, IMAGE, CorpusPart, Listing, first_of
from miner.corpora.records import Record, csv_records
from miner.corpora.rows import Entry, Place, Row, clean, hash64, scalars
from miner.corpora.tables import (
    ByteRanges,
    Sheet,
    as_spelled,
    checked,
    find_tables,
    list_records,
    open_sheet,
    text_table,
)

COLUMNS = ("image", "caption", "group")
PATTERNS = ("*.csv", "*.tsv", "*.jsonl", "*.ndjson", "*.json", "*.parquet")


class TableConfig(PicturesConfig):
    """A CSV, JSON, JSON-lines or parquet table with picture names and captions.

    Attributes:
        image: column with the picture's file name.
        caption: column with the caption.
        group: column whose value keeps rows in one split; the picture's name when empty.
    """

    kind: Literal["table"]
    image: str = "image"
    caption: str = "caption"
    group: str = ""


class Table(InFiles):
    """Reader of a table; see `miner.corpora.rows.Reader`.

    Raises:
        Refused: no table, an unknown suffix, or a column is missing.
    """

    def __init__(self, config: TableConfig):
        self.config = config
        folder, file = corpus_folder(config.path, corpus_name(config))
        tables = find_tables(folder, file, PATTERNS, "one of " + ", ".join(PATTERNS))
        super().__init__(folder, tables, config, relative=True)
        self.suffix = self.tables[0].rpartition(".")[2].lower()
        if f"*.{self.suffix}" not in PATTERNS:
            text_table(self.folder, self.tables[0])
            raise Refused(
                f"{self.folder.field}: {config.path}: expected one of {', '.join(PATTERNS)}"
            )
        settings = [name for name in COLUMNS if getattr(config, name)]
        wanted = [getattr(config, name) for name in settings]
        self._sheets: list[Sheet] = []
        names: list[str] = []
        for table in self.tables:
            if self.suffix in ("csv", "tsv"):
                sheet = open_sheet(self.folder, table, wanted, "table", settings)
                self._sheets.append(sheet)
                names = names or sheet.names
            elif self.suffix == "parquet":
                there = parquet_columns(self.folder, table)
                checked(self.folder, table, there, wanted, "table", settings)
                names = names or there
        if not names:
            first = next(self._records(0, 0, []), None)
            names = [*first.value] if first and isinstance(first.value, dict) else []
        self.config = config = as_spelled(config, settings, names)
        self._ranges = ByteRanges(self.folder, self.tables)

    def scan(self, table: int, start: int, problems: list[str]) -> Iterator[Entry]:
        """Rows of a table; captions of a picture belong together.

        Raises:
            Refused: a JSON file is no list.
        """
        name = self.tables[table]
        if self.suffix == "parquet":
            for at, value in parquet_scan(self.folder, name, [self.config.image], start):
                image = hash64(self._image(value))
                yield Entry(at, 1, image, image)
            return
        for record in self._records(table, start, problems):
            value = self._value(table, record.value)
            image = hash64(self._image(value))
            yield Entry(record.offset, record.length, image, image)

    def _image(self, value: dict[str, Any]) -> str:
        return plain(self.images.own(str(value.get(self.config.image))))

    def _records(self, table: int, start: int, problems: list[str]) -> Iterator[Record]:
        name = self.tables[table]
        if self.suffix in ("csv", "tsv"):
            sheet = self._sheets[table]
            with self.folder.open(name) as file:
                yield from csv_records(file, start or sheet.start, sheet.delimiter)
        else:
            columns = (self.config.image, self.config.caption)
            yield from list_records(self.folder, name, start, problems, columns)

    def _value(self, table: int, value: Any) -> dict[str, Any]:
        if isinstance(value, list) and self.suffix in ("csv", "tsv"):
            # A repeated name is that of its first column.
            pairs = list(zip(self._sheets[table].names, value, strict=False))
            return {name: cell for name, cell in reversed(pairs) if name}
        return value if isinstance(value, dict) else {}

    def rows(self, places: list[Place]) -> list[Row]:
        """Parse rows."""
        values: list[Any]
        if self.suffix == "parquet":
            values = parquet_rows(self.folder, self.tables, places)
        elif self.suffix in ("csv", "tsv"):
            values = list(self._ranges.csv(places, [s.delimiter for s in self._sheets]))
        else:
            values = list(self._ranges.json(places))
        return [self._row(p, v) for p, v in zip(places, values, strict=True)]

    def _row(self, place: Place, found: Any) -> Row:
        row = Row(place.row)
        if isinstance(found, str):
            return row.fail("unreadable", found)
        if isinstance(found, list) and not self._sheets[place.table].fits(found):
            row.fail("unreadable", "wrong_number_of_fields")
        value = self._value(place.table, found)
        image, text = value.get(self.config.image), value.get(self.config.caption)
        row.image, bad_image = clean(self.images.own(image) if isinstance(image, str) else "")
        row.caption, bad_caption = clean(text if isinstance(text, str) else "")
        group = value.get(self.config.group) if self.config.group else None
        row.group = clean(str(group))[0] if group not in (None, "") else row.image
        row.meta = scalars(value, (self.config.image, self.config.caption))
        if text is not None and not isinstance(text, str):
            row.fail("unreadable", "caption_is_no_text")
        if bad_image or bad_caption:
            row.fail("unreadable", "bad_utf8")
        return row


def _detect(listing: Listing) -> dict[str, Any] | None:
    schema = listed_schema(listing)
    tables = [listing.fields(name) for name in listing.names]
    if not pictures_in(schema):
        tables.append(frozenset(schema.names))
    for fields in tables:
        image, caption = first_of(IMAGE, fields), first_of(CAPTION, fields)
        if image and caption:
            return {"image": image, "caption": caption}
    return None


PART = CorpusPart(
    kind="table",
    Settings=TableConfig,
    build=lambda config, threads: Table(config),
    detect=_detect,
    general=True,
)
