"""What readers of tables share: finding the tables, fetching byte ranges, pairing pictures."""

from __future__ import annotations

import dataclasses
import fnmatch
import io
import itertools
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from miner.core.errors import Refused
from miner.corpora.config import CorpusConfig
from miner.corpora.corpus_folder import Folder
from miner.corpora.json_list import NotAList, json_table, load_json
from miner.corpora.records import Record, csv_header, csv_records
from miner.corpora.rows import Place

Config = TypeVar("Config", bound=CorpusConfig)

# Gaps between wanted byte ranges smaller than this are read along.
_GAP_BYTES = 1 << 16
DELIMITERS = (",", ";", "\t", "|")
# Records looked at to tell an index without a name from what a comma too many does.
_INDEX_RECORDS = 50
_FOREIGN = {
    b"\x1f\x8b": "gzip data: unpack it first",
    b"PK\x03\x04": "a zip or an Excel workbook: unpack it, or save it as CSV",
    b"\xd0\xcf\x11\xe0": "an Excel workbook: save it as CSV",
    b"PAR1": "parquet under another name: call it .parquet",
    b"\xff\xfe\0\0": "UTF-32 text: save it as UTF-8",
    b"\xff\xfe": "UTF-16 text: save it as UTF-8",
    b"\xfe\xff": "UTF-16 text: save it as UTF-8",
    b"version https://git-lfs": "a pointer of Git LFS: fetch the file itself with git lfs pull",
    b"<!DOCTYPE html": "a web page: its download went wrong",
    b"<html": "a web page: its download went wrong",
}


def find_tables(
    folder: Folder, file: str, patterns: Sequence[str], expected: str
) -> tuple[str, ...]:
    """Names of a corpus's tables.

    Args:
        folder: the corpus.
        file: the table, when the configuration names one; it wins.
        patterns: name patterns; the first with any match counts.
        expected: what to ask for in the message.

    Raises:
        Refused: there is none.
    """
    if file:
        return (file,)
    names = [n for n, is_dir in folder.entries() if not is_dir]
    for pattern in patterns:
        found = [n for n in names if fnmatch.fnmatchcase(n, pattern)]
        if found:
            return tuple(found)
    have = ", ".join(names[:4]) + (", ..." if len(names) > 4 else "") if names else "no files"
    raise Refused(f"{folder.field}: {folder.url}: expected {expected}, found {have}")


def spelled(name: str, names: Sequence[str]) -> str:
    """A column as the table spells it, where nothing but case tells them apart."""
    alike = [n for n in names if n.casefold() == name.casefold()]
    return alike[0] if name not in names and len(alike) == 1 else name


def as_spelled(config: Config, settings: Sequence[str], names: Sequence[str]) -> Config:
    """Settings whose columns are spelled as in a table.

    Args:
        config: of the corpus.
        settings: those that name columns.
        names: of the table's columns.
    """
    found = {s: spelled(getattr(config, s), names) for s in settings}
    return config.model_copy(update=found)


def checked(
    folder: Folder,
    table: str,
    names: Sequence[str],
    wanted: Sequence[str],
    what: str,
    settings: Sequence[str] = (),
) -> dict[str, int]:
    """Column positions by name; of a repeated name that nobody wants, the first.

    Args:
        folder: the corpus.
        table: name in it.
        names: of its columns.
        wanted: columns that must be there, whatever their case.
        what: the corpus, for messages.
        settings: which name the wanted columns, where settings do.

    Raises:
        Refused: a wanted column is not there, or there more than once.
    """
    where = f"{folder.field}: {folder.path(table)}"
    lacking = [at for at, asked in enumerate(wanted) if spelled(asked, names) not in names]
    if lacking:
        have = ", ".join(n or "(unnamed)" for n in names[:8]) or "none"
        section = folder.field.rpartition(".")[0]
        sets = " ".join(f"--set {section}.{settings[at]}=COLUMN" for at in lacking if settings)
        asked = " and no column ".join(repr(wanted[at]) for at in lacking)
        hint = f"; name {'it' if len(lacking) == 1 else 'them'}: {sets}" if sets else ""
        raise Refused(f"{where}: no column {asked} ({what}); has: {have}{hint}")
    for asked in wanted:
        name = spelled(asked, names)
        if (times := list(names).count(name)) > 1:
            raise Refused(
                f"{where}: {times} columns are called {name!r} ({what}): rename all but one"
            )
    return {name: at for at, name in reversed([*enumerate(names)])}


@dataclasses.dataclass(frozen=True)
class Sheet:
    """How a CSV file is laid out.

    Attributes:
        columns: positions by name.
        names: of all columns, "" for those without one.
        start: offset of the first record.
        delimiter: between cells.
    """

    columns: dict[str, int]
    names: list[str]
    start: int
    delimiter: str

    def fits(self, cells: Sequence[str]) -> bool:
        """Whether a record has a cell for each column; empty ones too many do no harm."""
        return not any(cells[len(self.names) :]) and not any(self.names[len(cells) :])


def foreign(folder: Folder, table: str) -> str:
    """What a file that should be text is instead, with what to do about it, or ""."""
    with folder.open(table) as file:
        head = file.read(64)
    begin = head.lstrip()
    found = next((w for m, w in _FOREIGN.items() if head.startswith(m) or begin[: len(m)] == m), "")
    # UTF-16 without its mark: every other byte of plain Latin is 0.
    nul = b"\0" in head[:16] and (not any(head[0:16:2]) or not any(head[1:16:2]))
    return found or ("UTF-16 text: save it as UTF-8" if nul else "")


def text_table(folder: Folder, table: str) -> None:
    """Refuse a table that is no text in UTF-8 or in what can be read as that.

    Raises:
        Refused: says what it is instead.
    """
    try:
        found = foreign(folder, table)
    except OSError as error:
        why = error.strerror or error
        raise Refused(f"{folder.field}: {folder.path(table)}: {why}") from None
    if found:
        raise Refused(f"{folder.field}: {folder.path(table)}: this is {found}")


def open_sheet(
    folder: Folder, table: str, wanted: Sequence[str], what: str, settings: Sequence[str] = ()
) -> Sheet:
    """Layout of a CSV file, whatever stands between its cells.

    Args:
        folder: the corpus.
        table: name in it.
        wanted: columns that must be there.
        what: the corpus, for messages.
        settings: see `checked`.

    Raises:
        Refused: it is no text, or a wanted column is not there or is there twice.
    """
    text_table(folder, table)
    usual = "\t" if table.lower().endswith(".tsv") else ","
    with folder.open(table) as file:
        for delimiter in dict.fromkeys((usual, *DELIMITERS)):
            file.seek(0)
            names, start = csv_header(file, delimiter)
            if {spelled(name, names) for name in wanted} <= set(names):
                break
        else:
            names, start, delimiter = _widest(file, usual)
        columns = checked(folder, table, names, wanted, what, settings)
        records = itertools.islice(csv_records(file, start, delimiter), _INDEX_RECORDS)
        cells = [record.value for record in records if record.value is not None]
    # R writes row names without a name: each record then has one cell more than the header.
    if cells and all(len(c) == len(names) + 1 for c in cells) and any(c[-1] for c in cells):
        names = ["", *names]
        columns = checked(folder, table, names, wanted, what, settings)
    return Sheet(columns, names, start, delimiter)


def _widest(file: Any, usual: str) -> tuple[list[str], int, str]:
    """Header of a CSV file, where its records start, and the delimiter that makes most columns."""
    found = []
    for delimiter in dict.fromkeys((usual, *DELIMITERS)):
        file.seek(0)
        found.append((*csv_header(file, delimiter), delimiter))
    return max(found, key=lambda header: len(header[0]))


def columns_of(file: Any) -> list[str]:
    """Column names of a CSV file, by the delimiter that makes most of its first line."""
    found: list[list[str]] = []
    for delimiter in DELIMITERS:
        file.seek(0)
        found.append(csv_header(file, delimiter)[0])
    return max(found, key=len)


def table_fingerprints(folder: Folder, tables: Sequence[str]) -> list[Any]:
    """Name, size and change token of every table."""
    return [[table, *folder.fingerprint(table)] for table in tables]


def list_records(
    folder: Folder, table: str, start: int, problems: list[str], columns: Sequence[str]
) -> Iterator[Record]:
    """Records of a JSON list or of JSON lines, from a byte offset; see `json_table`.

    Args:
        folder: the corpus.
        table: name in it.
        start: byte at which a record begins, or 0.
        problems: gets a line for what could not be read.
        columns: what its objects should have, for the message.

    Raises:
        Refused: the file is neither.
    """
    text_table(folder, table)
    with folder.open(table) as file:
        try:
            yield from json_table(file, start, problems, columns)
        except NotAList as found:
            names = ", ".join(f'"{name}"' for name in columns)
            raise Refused(
                f"{folder.field}: {folder.path(table)}: expected a JSON list of {{{names}}}, "
                f"found {found}"
            ) from None


class ByteRanges:
    """Fetches records of a corpus's tables by the byte ranges that the plan holds."""

    def __init__(self, folder: Folder, tables: Sequence[str]):
        self.folder = folder
        self.tables = tables

    def raw(self, places: list[Place]) -> list[bytes]:
        """Bytes of some records, in the order asked; neighbours are read together."""
        result: list[bytes] = [b""] * len(places)
        order = sorted(range(len(places)), key=lambda i: (places[i].table, places[i].offset))
        runs: list[list[int]] = []
        end = -1
        for i in order:
            place = places[i]
            same = runs and places[runs[-1][-1]].table == place.table
            if same and 0 <= place.offset - end < _GAP_BYTES:
                runs[-1].append(i)
            else:
                runs.append([i])
            end = place.offset + place.length
        files: dict[int, Any] = {}
        try:
            for run in runs:
                first, last = places[run[0]], places[run[-1]]
                if first.table not in files:
                    files[first.table] = self.folder.open(self.tables[first.table])
                file = files[first.table]
                file.seek(first.offset)
                data = file.read(last.offset + last.length - first.offset)
                for i in run:
                    begin = places[i].offset - first.offset
                    result[i] = data[begin : begin + places[i].length]
        finally:
            for file in files.values():
                file.close()
        return result

    def csv(self, places: list[Place], delimiters: Sequence[str]) -> Iterator[list[str] | str]:
        """Cells of CSV records, or as text the reason why there are none.

        Args:
            places: the records.
            delimiters: what stands between the cells, by table.
        """
        for place, data in zip(places, self.raw(places), strict=True):
            record = next(csv_records(io.BytesIO(data), 0, delimiters[place.table]), None)
            if record is None:
                yield "malformed_csv"
            else:
                yield record.value if record.value is not None else record.error

    def json(self, places: list[Place]) -> Iterator[dict[str, Any] | str]:
        """JSON objects, or as text the reason why there is none."""
        for data in self.raw(places):
            try:
                value = load_json(data.decode("utf-8", "surrogateescape").removeprefix("\ufeff"))
            except ValueError:
                yield "malformed_json"
            else:
                yield value if isinstance(value, dict) else "no_json_object"
