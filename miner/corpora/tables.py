"""What readers of tables share: finding the tables, fetching byte ranges, pairing pictures."""

from __future__ import annotations

import fnmatch
import io
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from miner.core.errors import Refused
from miner.core.store import Store
from miner.corpora.files import Folder
from miner.corpora.locations import Locations
from miner.corpora.records import NotAList, Record, csv_records, json_records
from miner.corpora.rows import Picture, Place, Row

# Gaps between wanted byte ranges smaller than this are read along.
_GAP_BYTES = 1 << 16


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


def checked(
    folder: Folder, table: str, names: Sequence[str], wanted: Sequence[str], what: str
) -> dict[str, int]:
    """Column positions by name.

    Raises:
        Refused: a wanted column is not there.
    """
    for name in wanted:
        if name not in names:
            have = ", ".join(n or "(unnamed)" for n in names[:8]) or "none"
            raise Refused(
                f"{folder.field}: {folder.path(table)}: no column {name!r} ({what}); has: {have}"
            )
    return {name: at for at, name in enumerate(names)}


def table_fingerprints(folder: Folder, tables: Sequence[str]) -> list[Any]:
    """Name, size and change token of every table."""
    return [[table, *folder.fingerprint(table)] for table in tables]


def list_records(
    folder: Folder, table: str, start: int, problems: list[str], columns: Sequence[str]
) -> Iterator[Record]:
    """Records of a table that is a JSON list, from a byte offset; see `json_records`.

    Args:
        folder: the corpus.
        table: name in it.
        start: byte at which a record begins, or 0.
        problems: gets a line for what could not be read.
        columns: what its objects should have, for the message.

    Raises:
        Refused: the file is no JSON list.
    """
    with folder.open(table) as file:
        try:
            yield from json_records(file, start, problems)
        except NotAList:
            names = ", ".join(f'"{name}"' for name in columns)
            raise Refused(
                f"{folder.field}: {folder.path(table)}: expected a JSON list of {{{names}}}, "
                "found something else"
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

    def csv(self, places: list[Place], delimiter: str = ",") -> Iterator[list[str] | str]:
        """Cells of CSV records, or as text the reason why there are none."""
        for data in self.raw(places):
            record = next(csv_records(io.BytesIO(data), 0, delimiter), None)
            if record is None:
                yield "malformed_csv"
            else:
                yield record.value if record.value is not None else record.error

    def json(self, places: list[Place]) -> Iterator[dict[str, Any] | str]:
        """JSON objects, or as text the reason why there is none."""
        for data in self.raw(places):
            try:
                value = json.loads(data.decode("utf-8", "surrogateescape").removeprefix("\ufeff"))
            except (ValueError, RecursionError):
                yield "malformed_json"
            else:
                yield value if isinstance(value, dict) else "no_json_object"


def pictures_of(
    rows: list[Row],
    images: Locations,
    store: Store,
    check: Callable[[bytes], Picture],
) -> dict[str, Picture]:
    """Read and check the pictures of the rows that are in play, each once."""
    found = images.read((r.image for r in rows), store)
    result = {}
    for name, data in found.items():
        if isinstance(data, str):
            result[name] = Picture(status="unreadable", reason=data)
        else:
            result[name] = check(data)
    return result
