"""Where a broken JSON entry ends: what it costs its neighbours is nothing."""

from __future__ import annotations

import re

GAP = re.compile(r"[ \t\r\n,]*")
TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|["\[\]{}]', re.DOTALL)
_JUNK = re.compile(r"[^,\[\]{]*")
_KEY = re.compile(r'[^"\\\n]*"\s*:')


def next_entry(text: str, at: int, ended: bool) -> int | None:
    """End of a broken entry by its brackets and quotes, or where plainly the next one begins.

    Args:
        text: JSON.
        at: where the broken entry begins.
        ended: whether the file ends with `text`.

    Returns:
        Position in `text`, or None when it is not in there.
    """
    if text[at] not in '{["':
        return _behind_junk(text, at + 1, ended)
    stack: list[str] = []
    for token in TOKEN.finditer(text, at):
        mark = token.group()
        if mark == '"':
            return None
        if mark[0] == '"':
            eaten = _eaten_start(mark)
            if eaten and _KEY.match(text, token.end()):
                return token.start() + eaten
        elif mark in "{[":
            # An object in an object needs a key: the brace before it was never closed.
            if mark == "{" and stack[-1:] == ["{"] and not _has_key(text, token.start()):
                return token.start()
            stack.append(mark)
        else:
            opener = "{" if mark == "}" else "["
            if opener in stack:
                while stack.pop() != opener:
                    pass
            elif mark == "]" and not text[token.end() :].strip():
                return token.start() if ended else None
        if not stack:
            return _behind_junk(text, token.end(), ended)
    return None


def _eaten_start(string: str) -> int:
    """Where an entry begins that an open quote before it has made part of a string, or 0.

    Such a string reaches to the quote of the entry's first key: `" ... }, {"`.
    """
    opened = string[:-1].rstrip()
    before = opened[:-1].rstrip()
    if not opened.endswith("{"):
        return 0
    new_line = "\n" in opened[len(before) :]
    return len(opened) - 1 if before[-1:] in ("}", ",") or new_line else 0


def _has_key(text: str, brace: int) -> bool:
    return text[max(0, brace - 200) : brace].rstrip()[-1:] == ":"


def _behind_junk(text: str, at: int, ended: bool) -> int | None:
    end = past(_JUNK, text, at)
    return end if end < len(text) or ended else None


def past(pattern: re.Pattern[str], text: str, at: int) -> int:
    """Position behind what a pattern matches there."""
    match = pattern.match(text, at)
    return match.end() if match else at
