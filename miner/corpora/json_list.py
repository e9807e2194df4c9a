"""JSON lists and JSON lines as records with byte ranges, streamed; one bad entry costs itself."""

from __future__ import annotations

import codecs
import itertools
import json
import re
from collections.abc import Iterator, Sequence
from typing import IO, Any

from miner.corpora.json_resync import GAP, TOKEN, next_entry, past
from miner.corpora.records import BOM, MAX_RECORD_BYTES, Record

# Deeper values are refused: how deep Python's parser gets depends on who calls it.
MAX_DEPTH = 100
_CHUNK = 1 << 22
_LINES_LOOKED_AT = 5
# Errors this near to the end of what was read may be due to that end.
_NEAR_END = 16
_BLANK = re.compile(r"[ \t\r\n]*")
_FIRST_KEY = re.compile(r'\{\s*"([^"\\\n]{1,40})"\s*:')


class NotAList(ValueError):
    """The file holds neither a JSON list nor JSON lines; the message says what it holds."""


def load_json(text: str) -> Any:
    """A JSON text's value.

    Raises:
        ValueError: malformed, nested deeper than `MAX_DEPTH`, or with numbers too long to convert.
    """
    if text.count("[") + text.count("{") > MAX_DEPTH:
        depth = 0
        for token in TOKEN.finditer(text):
            depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(token.group(), 0)
            if depth > MAX_DEPTH:
                raise ValueError("nested too deeply")
    return json.loads(text)


def json_table(
    file: IO[bytes],
    start: int = 0,
    problems: list[str] | None = None,
    columns: Sequence[str] = (),
) -> Iterator[Record]:
    """Records of a JSON list or of JSON lines, whatever the file is called.

    Args:
        file: JSON text in UTF-8, with or without BOM.
        start: 0, or `offset + length` of a record.
        problems: as for `json_records`.
        columns: fields of which a line of JSON lines has at least one, whatever their case; empty
            for any.

    Raises:
        NotAList: neither.
    """
    file.seek(0)
    head = file.read(1 << 16).removeprefix(BOM).lstrip()
    if head[:1] == b"[":
        yield from json_records(file, start, problems)
        return
    file.seek(0)
    filled = (raw.removeprefix(BOM).strip() for raw in _raw_lines(file))
    lines = list(itertools.islice((line for line in filled if line), _LINES_LOOKED_AT))
    braced = all(line[:1] == b"{" and line[-1:] == b"}" for line in lines)
    if not braced or not any(_has(line, columns) for line in lines):
        raise NotAList(said(head))
    yield from jsonl_records(file, start)


def _has(line: bytes, columns: Sequence[str]) -> bool:
    try:
        value = load_json(line.decode("utf-8", "surrogateescape"))
    except ValueError:
        return False
    there = {name.casefold() for name in value}
    return not columns or any(column.casefold() in there for column in columns)


def said(head: bytes) -> str:
    """What a file holds by its beginning, for messages."""
    text = head.decode("utf-8", "replace")
    if not text:
        return "an empty file"
    key = _FIRST_KEY.match(text)
    if key:
        return f'a JSON object that begins with "{key.group(1)}"'
    return f"text that begins with {text[:20]!r}"


def _raw_lines(file: IO[bytes]) -> Iterator[bytes]:
    """Lines; one without an end comes in pieces."""
    return iter(lambda: file.readline(MAX_RECORD_BYTES), b"")


def jsonl_records(file: IO[bytes], start: int = 0) -> Iterator[Record]:
    """Non-empty lines of a JSON-lines file from the offset of a line."""
    file.seek(start)
    at = start
    for raw in _raw_lines(file):
        begin, at = at, at + len(raw)
        text = raw.removeprefix(BOM) if begin == 0 else raw
        if not text.strip():
            continue
        try:
            yield Record(begin, len(raw), load_json(text.decode("utf-8", "surrogateescape")))
        except ValueError:
            yield Record(begin, len(raw), None, "malformed_json")


def json_records(
    file: IO[bytes], start: int = 0, problems: list[str] | None = None
) -> Iterator[Record]:
    """Elements of a JSON list, from its beginning or from behind an earlier element.

    An element that is no JSON comes with an error, and the reader goes on at the next.

    Args:
        file: JSON text in UTF-8, with or without BOM.
        start: 0, or `offset + length` of a record.
        problems: gets a line when the list is cut or goes on behind its end.

    Raises:
        NotAList: the top level is something else.
    """
    window = _Window(file, start)
    if start == 0:
        if window.peek("\ufeff"):
            window.skip(1)
        window.skip_while(GAP)
        if not window.peek("["):
            raise NotAList(said(window.text[window.at :].encode("utf-8", "surrogateescape")))
        window.skip(1)
    count = 0
    while True:
        window.skip_while(GAP)
        if window.exhausted():
            break
        if window.peek("]"):
            window.skip(1)
            window.skip_while(_BLANK)
            if window.exhausted():
                return
            if problems is not None:
                problems.append(f"the list ends at byte {window.base}, before the end of the file")
            if window.peek(",") or window.peek("{"):
                continue
            return
        value, error = None, "malformed_json"
        end = _value_end(window)
        if end is None:
            end = _broken_end(window)
            if end is None:
                break
        else:
            value, error = window.value, ""
        offset = window.base
        window.skip(end - window.at)
        yield Record(offset, window.base - offset, value, error)
        count += 1
    if problems is not None:
        problems.append(
            f"the list breaks off at byte {window.base}, {count} records after byte {start}; "
            "was its download cut short?"
        )


class _Window:
    """The part of a file that is being parsed.

    Attributes:
        text: decoded; bytes that are no UTF-8 are surrogates, so that lengths stay exact.
        at: position in `text`.
        base: byte of the file at that position.
        ended: whether `text` reaches to the end of the file.
        value: what `_value_end` found there.
    """

    def __init__(self, file: IO[bytes], start: int):
        file.seek(start)
        self._file = file
        self._decode = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode
        self.text, self.at, self.base, self.ended = "", 0, start, False
        self.value: Any = None
        self.fill(_CHUNK)

    def fill(self, size: int) -> None:
        """Read on, and forget what lies before `at`."""
        data = self._file.read(size)
        self.ended = not data
        self.text = self.text[self.at :] + self._decode(data, self.ended)
        self.at = 0

    def skip(self, count: int) -> None:
        """Advance."""
        text = self.text[self.at : self.at + count]
        self.at += count
        self.base += len(text) if text.isascii() else len(text.encode("utf-8", "surrogateescape"))

    def skip_while(self, pattern: re.Pattern[str]) -> None:
        """Advance over all that the pattern (of single characters) matches."""
        while True:
            self.skip(past(pattern, self.text, self.at) - self.at)
            if self.at < len(self.text) or self.ended:
                return
            self.fill(_CHUNK)

    def peek(self, text: str) -> bool:
        """Whether this text is next."""
        return self.text.startswith(text, self.at)

    def exhausted(self) -> bool:
        """Whether nothing is left."""
        return self.at >= len(self.text)

    def grow(self) -> bool:
        """Read as much again; False when that is no use."""
        held = len(self.text) - self.at
        if self.ended or held > MAX_RECORD_BYTES:
            return False
        self.fill(max(_CHUNK, held))
        return True


_raw_decode = json.JSONDecoder().raw_decode


def _value_end(window: _Window) -> int | None:
    """End of the JSON value at the window's position, which becomes its `value`, or None."""
    while True:
        text = window.text
        try:
            window.value, end = _raw_decode(text, window.at)
        except json.JSONDecodeError as error:
            cut = error.msg.startswith("Unterminated") or error.pos >= len(text) - _NEAR_END
            if cut and window.grow():
                continue
            return None
        except (ValueError, RecursionError):  # too many digits, or too deep
            return None
        behind = past(_BLANK, text, end)
        follows = text[behind : behind + 1]
        if not follows and window.grow():
            continue
        # A comma that is missing does no harm; anything else means that the value went wrong.
        return end if follows in ("", ",", "]", "{", "[", '"') else None


def _broken_end(window: _Window) -> int | None:
    """Where the broken entry at the window's position ends, or None when nothing follows it."""
    while True:
        text, at = window.text, window.at
        end = next_entry(text, at, window.ended)
        if end is not None:
            return at + len(text[at:end].rstrip(" \t\r\n,"))
        if not window.grow():
            break
    whole = window.text.rstrip()
    return len(whole) - 1 if window.ended and whole.endswith("]") else None
