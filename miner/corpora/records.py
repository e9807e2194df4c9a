"""Records of big CSV files with their byte ranges, streamed; `json_list` has those of JSON.

A plan keeps the ranges, not the records: a work unit seeks and parses only its own.
"""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Iterator
from typing import IO, Any, NamedTuple

MAX_RECORD_BYTES = 64 << 20
BOM = b"\xef\xbb\xbf"
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")

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
    while raw := file.readline(MAX_RECORD_BYTES):
        line = raw.decode("utf-8", "surrogateescape")
        # As text files are read with newline="": a lone \r ends a line.
        lone = b"\r" in raw and (raw.count(b"\r") > 1 or not raw.endswith(b"\r\n"))
        for part in _LINE.findall(line) if lone else (line,):
            at[0] += len(part.encode("utf-8", "surrogateescape")) if lone else len(raw)
            if at[0] > at[1]:
                raise _TooLong
            yield part


def csv_records(file: IO[bytes], start: int = 0, delimiter: str = ",") -> Iterator[Record]:
    """Non-empty records from a byte offset at which one begins.

    Comma-separated and the like are read as RFC 4180 has it: a record in which a quotation mark
    never ends, or ends within a cell, comes with an error. It costs its first line, and the reader
    goes on with the next, since what lies there may be whole records. Between tabs a quotation mark
    is a character like any other: nobody quotes there.
    """
    begin = start
    while True:
        file.seek(begin)
        at = [begin, begin + MAX_RECORD_BYTES]
        lines = _lines(file, at)
        reason = ""
        rows = csv.reader(
            lines,
            delimiter=delimiter,
            quoting=csv.QUOTE_NONE if delimiter == "\t" else csv.QUOTE_MINIMAL,
            strict=True,
        )
        try:
            for cells in rows:
                if cells:
                    yield Record(begin, at[0] - begin, cells)
                begin = at[0]
                at[1] = begin + MAX_RECORD_BYTES
        except _TooLong:
            reason = "unterminated_quote"
        except csv.Error as refused:
            at_end = "unexpected end of data" in str(refused)
            reason = "unterminated_quote" if at_end else "malformed_csv"
        if not reason:
            return
        file.seek(begin)
        end = [begin, sys.maxsize]
        next(_lines(file, end))
        yield Record(begin, end[0] - begin, None, reason)
        begin = end[0]


def csv_header(file: IO[bytes], delimiter: str = ",") -> tuple[list[str], int]:
    """Column names of a CSV file and the offset of its first record; a BOM is skipped."""
    start = len(BOM) if file.read(len(BOM)) == BOM else 0
    for record in csv_records(file, start, delimiter):
        names = [str(c).strip() for c in record.value or []]
        return names, record.offset + record.length
    return [], start
