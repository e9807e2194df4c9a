"""Records of big CSV and JSON files with their byte ranges, streamed.

A plan keeps the ranges, not the records: a work unit seeks and parses only its own.
"""

from __future__ import annotations

import codecs
import csv
import json
import re
import sys
from collections.abc import Iterator
from typing import IO, Any, NamedTuple

# A quote that is never closed would swallow the rest of the file into one record.
MAX_RECORD_BYTES = 64 << 20
BOM = b"\xef\xbb\xbf"
_CHUNK = 1 << 22
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_GAP = re.compile(r"[ \t\r\n,]*")

csv.field_size_limit(sys.maxsize)


class Record(NamedTuple):
    """One record of a file.

    Attributes:
        offset: first byte.
        length: bytes.
        value: CSV cells or the JSON value; None when it could not be parsed.
        error: reason when it could not, else "".
    """

    offset: int
    length: int
    value: Any
    error: str = ""


class _TooLong(Exception):
    pass


def _lines(file: IO[bytes], at: list[int]) -> Iterator[str]:
    """Text lines; `at` holds the byte position behind the last one and the furthest allowed.

    Bytes that are no UTF-8 come as surrogates, so that lengths stay exact.
    """
    for raw in file:
        line = raw.decode("utf-8", "surrogateescape")
        # As text files are read with newline="": a lone \r ends a line.
        if b"\r" in raw and (raw.count(b"\r") > 1 or not raw.endswith(b"\r\n")):
            for part in _LINE.findall(line):
                at[0] += len(part.encode("utf-8", "surrogateescape"))
                yield part
        else:
            at[0] += len(raw)
            if at[0] > at[1]:
                raise _TooLong
            yield line


def csv_records(file: IO[bytes], start: int = 0, delimiter: str = ",") -> Iterator[Record]:
    """Non-empty CSV records (RFC 4180) from a byte offset at which a record begins.

    A record that `csv` refuses comes with an error, and the reader goes on behind it.
    """
    file.seek(start)
    at = [start, start + MAX_RECORD_BYTES]
    rows = csv.reader(_lines(file, at), delimiter=delimiter)
    while True:
        begin = at[0]
        at[1] = begin + MAX_RECORD_BYTES
        try:
            cells = next(rows)
        except StopIteration:
            return
        except _TooLong:
            yield Record(begin, at[0] - begin, None, "unterminated_quote")
            rows = csv.reader(_lines(file, at), delimiter=delimiter)
            continue
        except csv.Error:
            yield Record(begin, at[0] - begin, None, "malformed_csv")
            continue
        if cells:
            yield Record(begin, at[0] - begin, cells)


def csv_header(file: IO[bytes], delimiter: str = ",") -> tuple[list[str], int]:
    """Column names of a CSV file and the offset of its first record; a BOM is skipped."""
    start = len(BOM) if file.read(len(BOM)) == BOM else 0
    for record in csv_records(file, start, delimiter):
        names = [str(c).strip() for c in record.value or []]
        return names, record.offset + record.length
    return [], start


class NotAList(ValueError):
    """The JSON file's top level is no list."""


def json_records(
    file: IO[bytes], start: int = 0, problems: list[str] | None = None
) -> Iterator[Record]:
    """Elements of a JSON list, from its beginning or from behind an earlier element.

    Args:
        file: JSON text in UTF-8, with or without BOM.
        start: 0, or `offset + length` of a record.
        problems: gets a line when the list is cut or broken; records before that are whole.

    Raises:
        NotAList: the top level is something else.
    """
    file.seek(start)
    decode = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode
    raw_decode = json.JSONDecoder().raw_decode
    buffer, position, base, end_of_file = "", 0, start, False

    def fill(size: int = _CHUNK) -> None:
        nonlocal buffer, position, end_of_file
        data = file.read(size)
        end_of_file = not data
        buffer = buffer[position:] + decode(data, end_of_file)
        position = 0

    def skip(count: int) -> None:
        """Advance, and keep `base` at the byte of `position`."""
        nonlocal position, base
        text = buffer[position : position + count]
        position += count
        base += count if text.isascii() else len(text.encode("utf-8", "surrogateescape"))

    def skip_gap() -> None:
        nonlocal position, base
        while True:
            match = _GAP.match(buffer, position)
            if match:
                base += match.end() - position  # all ASCII
                position = match.end()
            if position < len(buffer) or end_of_file:
                return
            fill()

    fill()
    if start == 0:
        if buffer.startswith("\ufeff"):
            skip(1)
        skip_gap()
        if buffer[position : position + 1] != "[":
            raise NotAList
        skip(1)
    count, wanted = 0, _CHUNK
    while True:
        skip_gap()
        if position >= len(buffer):
            break
        if buffer[position] == "]":
            return
        try:
            value, end = raw_decode(buffer, position)
            if end == len(buffer) and not end_of_file:
                fill()
                continue
        except (json.JSONDecodeError, RecursionError):
            if end_of_file or len(buffer) - position > MAX_RECORD_BYTES:
                break
            wanted *= 2
            fill(wanted)
            continue
        offset = base
        skip(end - position)
        yield Record(offset, base - offset, value)
        count, wanted = count + 1, _CHUNK
    if problems is not None:
        problems.append(
            f"the list breaks off at byte {base}, {count} records after byte {start}; "
            "was its download cut short?"
        )


def jsonl_records(file: IO[bytes], start: int = 0) -> Iterator[Record]:
    """Non-empty lines of a JSON-lines file from the offset of a line."""
    file.seek(start)
    at = start
    for raw in file:
        begin, at = at, at + len(raw)
        text = raw.removeprefix(BOM) if begin == 0 else raw
        if not text.strip():
            continue
        try:
            yield Record(begin, len(raw), json.loads(text.decode("utf-8", "surrogateescape")))
        except (ValueError, RecursionError):
            yield Record(begin, len(raw), None, "malformed_json")
