"""QUILT-1M: a CSV of video, tweet and article captions, and picture files."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Iterator, Mapping, Set
from typing import Any, Literal

import pydantic

from miner.core.errors import Refused
from miner.core.names import base, plain
from miner.core.settings import Files
from miner.corpora.config import TERMS, PicturesConfig, corpus_name
from miner.corpora.corpus_folder import Folder, corpus_folder
from miner.corpora.in_files import InFiles
from miner.corpora.part import CorpusPart, Listing
from miner.corpora.records import csv_records
from miner.corpora.rows import Entry, Place, Row, clean, hash64
from miner.corpora.tables import (
    ByteRanges,
    find_tables,
    open_sheet,
)

MAGNIFICATION = {0: "low", 1: "medium", 2: "high"}
# Side cells larger than this, or nested deeper than a list of lists of dicts, are not parsed.
MAX_REPR_CHARS = 200_000
_VIDEO = re.compile(r"_(?:image|roi)_")
_REPRS = ("pathology", "roi_text", "noisy_text", "corrected_text", "med_umls_ids")


class QuiltConfig(PicturesConfig):
    """QUILT-1M.

    Attributes:
        magnification_mpp: um per pixel by magnification class (low, medium, high); the publisher
            gives none, so none is assumed.
        cleaner_path: `predictions_quiltcleaner.csv`, relative to `path` or anywhere.
        exclude_flags: impurity columns of that file whose 1 excludes a picture.
        exclude_not_histology: exclude rows the publisher flags as no histology.
    """

    kind: Literal["quilt"]
    license: str = TERMS
    magnification_mpp: dict[Literal["low", "medium", "high"], float] = pydantic.Field(
        default_factory=dict
    )
    cleaner_path: str = ""
    exclude_flags: tuple[str, ...] = ()
    exclude_not_histology: bool = True

    def files(self) -> Mapping[str, Files]:
        """The flags that exclude pictures."""
        if not self.cleaner_path:
            return {}
        place = Folder(self.path).sub(self.cleaner_path)
        return {"cleaner_path": {"": place.url}}

    def incidental(self) -> Set[str]:
        """Where the flags lie."""
        return {*super().incidental(), "cleaner_path"}

    @pydantic.model_validator(mode="after")
    def _flags_need_file(self) -> QuiltConfig:
        if self.exclude_flags and not self.cleaner_path:
            raise ValueError("exclude_flags needs cleaner_path (predictions_quiltcleaner.csv)")
        return self


class Quilt(InFiles):
    """Reader of `quilt_1M_lookup.csv`; see `miner.corpora.rows.Reader`.

    Raises:
        Refused: no table with columns `caption` and `image_path`, or a configured place is missing.
    """

    def __init__(self, config: QuiltConfig):
        self.config = config
        name = corpus_name(config)
        folder, file = corpus_folder(config.path, name)
        patterns = ("quilt_1M_lookup.csv", "*lookup*.csv")
        tables = find_tables(folder, file, patterns, patterns[0])
        super().__init__(folder, tables, config, ("images", "quilt_1m", "quilt_1M", ""))
        wanted = ("caption", "image_path")
        self.sheets = [open_sheet(self.folder, t, wanted, "QUILT-1M") for t in self.tables]
        self._ranges = ByteRanges(self.folder, self.tables)
        self._impurities = (
            read_impurities(self.folder, config, f"corpora.{name}") if config.cleaner_path else {}
        )

    def scan(self, table: int, start: int, problems: list[str]) -> Iterator[Entry]:
        """Rows of a table; captions of a picture belong together."""
        sheet = self.sheets[table]
        at = sheet.columns["image_path"]
        with self.folder.open(self.tables[table]) as file:
            records = csv_records(file, start or sheet.start, sheet.delimiter)
            for offset, length, cells, _ in records:
                name = cells[at] if cells and at < len(cells) else ""
                image = hash64(base(name))
                yield Entry(offset, length, image, image)

    def rows(self, places: list[Place]) -> list[Row]:
        """Parse rows of the CSV."""
        records = self._ranges.csv(places, [sheet.delimiter for sheet in self.sheets])
        return [self._row(p, record) for p, record in zip(places, records, strict=True)]

    def _row(self, place: Place, cells: list[str] | str) -> Row:
        row = Row(place.row)
        if isinstance(cells, str):
            return row.fail("unreadable", cells)
        sheet = self.sheets[place.table]

        def cell(name: str) -> str:
            at = sheet.columns.get(name, -1)
            return cells[at] if 0 <= at < len(cells) else ""

        row.image, bad_image = clean(base(cell("image_path")))
        row.caption, bad_caption = clean(cell("caption"))
        if not _given(row.caption):
            row.caption = ""  # pandas writes what is missing as nan
        row.group = _VIDEO.split(row.image, maxsplit=1)[0]
        if row.group == row.image:
            row.group = row.image.rsplit(".", 1)[0]
        row.source = f"QUILT-1M {cell('subset')}".strip()
        row.meta = _side_columns(cell)
        if not sheet.fits(cells):
            return row.fail("unreadable", "wrong_number_of_fields")
        if bad_image or bad_caption:
            return row.fail("unreadable", "bad_utf8")
        if row.meta.get("not_histology") and self.config.exclude_not_histology:
            row.fail("excluded", "not_histology")
        impurities = self._impurities.get(plain(row.image))
        if impurities is not None:
            row.meta["impurities"] = sorted(impurities)
            for flag in self.config.exclude_flags:
                if flag in impurities:
                    row.fail("excluded", f"impurity:{flag}")
        row.mpp = self.config.magnification_mpp.get(row.meta.get("magnification", ""))
        return row


def read_impurities(root: Folder, config: QuiltConfig, field: str) -> dict[str, frozenset[str]]:
    """Flags that QuiltCleaner raised, by picture.

    Raises:
        Refused: the file is missing, has no `Filename`, or lacks a configured flag.
    """
    place = root.sub(config.cleaner_path, f"{field}.cleaner_path")
    if not place.isfile():
        raise Refused(f"{place.field}: {place.url}: no such file")
    sheet = open_sheet(place, "", ("Filename",), "QuiltCleaner")
    flags = {n: at for n, at in sheet.columns.items() if n not in ("", "Filename")}
    with place.open() as file:
        for flag in config.exclude_flags:
            if flag not in flags:
                has = ", ".join(flags)
                raise Refused(f"{field}.exclude_flags: no flag {flag!r} in {place.url}; has: {has}")
        # Pictures share few combinations of flags: one set each.
        known: dict[frozenset[str], frozenset[str]] = {}
        result = {}
        for record in csv_records(file, sheet.start, sheet.delimiter):
            cells = record.value or []
            if sheet.fits(cells):
                raised = frozenset(f for f, at in flags.items() if _number(cells[at]) == 1)
                name = plain(base(cells[sheet.columns["Filename"]]))
                result[name] = known.setdefault(raised, raised)
    return result


def _side_columns(cell: Any) -> dict[str, Any]:
    meta: dict[str, Any] = {}
    for name in ("subset", "split"):
        if _given(cell(name)):
            meta[name] = clean(cell(name))[0]
    for name in _REPRS:
        value = parse_repr(cell(name))
        if value:
            meta[name] = value
    magnification = _number(cell("magnification"))
    if magnification in MAGNIFICATION:
        meta["magnification"] = MAGNIFICATION[int(magnification)]
    for name in ("not_histology", "single_wsi"):
        flag = _number(cell(name))
        if flag is not None:
            meta[name] = bool(flag)
    return meta


def _given(text: str) -> bool:
    return text.strip().lower() not in ("", "nan", "none", "null")


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return {"true": 1.0, "false": 0.0}.get(text.strip().lower())
    return value if math.isfinite(value) else None


def parse_repr(text: str) -> list[Any]:
    """A cell with a Python repr as a list; a bare string is a list of one.

    Of UMLS entries only the `entity` names are kept. Cells too large to parse give an empty list.
    """
    if not _given(text) or len(text) > MAX_REPR_CHARS:
        return []
    text = clean(text)[0].replace("\0", "")
    try:
        value = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return [text.strip()] if text.strip()[:1] not in "[{(" else []
    if isinstance(value, list | tuple):
        return _flat(value)
    return [str(value)]


def _flat(values: Any) -> list[str]:
    result: list[str] = []
    for value in values:
        if isinstance(value, list | tuple):
            result += _flat(value)
        elif isinstance(value, dict):
            if _given(str(value.get("entity", ""))):
                result.append(str(value["entity"]).strip())
        elif value is not None and _given(str(value)):
            result.append(str(value).strip())
    return result


def _detect(listing: Listing) -> dict[str, Any] | None:
    for name in listing.names:
        fields = listing.fields(name)
        if {"caption", "image_path"} <= fields and ("subset" in fields or "lookup" in name):
            return {}
    return None


PART = CorpusPart(
    kind="quilt",
    Settings=QuiltConfig,
    build=lambda config, threads: Quilt(config),
    detect=_detect,
    title="QUILT-1M",
    cite="Ikezogwo et al., Quilt-1M: One Million Image-Text Pairs for Histopathology, NeurIPS 2023",
)
