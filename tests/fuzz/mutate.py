"""Seeded damage: to bytes, to text, to one place of a value."""

from __future__ import annotations

import copy
import random
from typing import Any

TOKENS = (
    b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\n", b"\r\n", b'"', b"'", b"]", b"}", b"{", b"[", b"\\",
    b",", b";", b"\t", b"\x1b[2J", b"\xed\xa0\x80", b"\xff" * 8, b"\0" * 512, b"9" * 5000,
    b"..", b"../", b"/etc/passwd", b"%s%n", b"nan", b"-1", b"1e309", b"null", b"[" * 3000,
)  # fmt: skip
WORDS = (
    "\ud800", "\udfff x", "\0", "a\0b", "\x1b]0;x\x07", "\u202egnp", "../../x", "/etc/passwd", "~",
    "", " ", "\t", "\n" * 50, "x" * 5000, "[/red]", "{group}", "*", "?", "s3://u:p@h/x", "file:///",
    "<script>alert(1)</script>", "| a | b |", "=cmd|'/C calc'!A0", "NaN", "-0", "1e999", "null",
    "\u0301" * 300, "\U0001f52c", "İ", "ß", "no " * 400, "(AB) " * 400, "a" * 300 + ".jpg", "con",
    "%00", "'; drop table", "{{7*7}}", "${jndi}", "\\\\host\\share", "C:\\x", ".", "..",
)  # fmt: skip
ODD = (
    None, True, False, 0, -1, 1, 2**31, 2**63, -(2**63), 10**30, 0.5, -0.0, 1e308, 1e-320,
    float("nan"), float("inf"), -float("inf"), [], {}, [[]], [None], {"a": 1}, [0] * 1000, "",
)  # fmt: skip


def damaged(data: bytes, rng: random.Random) -> bytes:
    """Bytes with one to six flips, cuts, insertions, repetitions or stretches of zeros."""
    broken = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        if not broken:
            broken = bytearray(rng.choice(TOKENS))
        at = rng.randrange(len(broken))
        # Headers are where most of a format is decided.
        at = min(at, rng.choice((len(broken) - 1, 600, 64)))
        size = rng.choice((1, 2, 4, 8, 40, 600))
        how = rng.randrange(8)
        if how == 0:
            broken[at] ^= 1 << rng.randrange(8)
        elif how == 1:
            broken[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF))
        elif how == 2:
            del broken[at : at + size]
        elif how == 3:
            broken[at:at] = rng.choice(TOKENS)
        elif how == 4:
            broken[at:at] = broken[at : at + size]
        elif how == 5:
            broken[at : at + size] = bytes(len(broken[at : at + size]))
        elif how == 6:
            broken[at : at + size] = rng.randbytes(len(broken[at : at + size]))
        elif rng.random() < 0.3:
            del broken[at:]
    return bytes(broken)


def odd(rng: random.Random) -> Any:
    """Something that nobody expects."""
    return copy.deepcopy(rng.choice(ODD)) if rng.random() < 0.5 else rng.choice(WORDS)


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where a value of lists and dicts can be changed."""
    found = [at] if at else []
    if isinstance(value, dict):
        for name in value:
            found += places(value[name], (*at, name))
    elif isinstance(value, list):
        for number in range(min(len(value), 50)):
            found += places(value[number], (*at, number))
    return found


def warped(value: Any, rng: random.Random) -> Any:
    """A copy in which one place is gone, odd, somebody else's, or has one more beside it."""
    value = copy.deepcopy(value)
    everywhere = places(value)
    if not everywhere:
        return odd(rng)
    *path, last = rng.choice(everywhere)
    holder = value
    for step in path:
        holder = holder[step]
    how = rng.randrange(6)
    if how == 0:
        del holder[last]
    elif how == 1 and isinstance(holder, dict):
        holder[str(odd(rng))[:50]] = odd(rng)
    elif how == 2:
        *other, end = rng.choice(everywhere)
        source = value
        for step in other:
            source = source[step]
        holder[last] = copy.deepcopy(source[end])
    elif how == 3 and isinstance(holder[last], str):
        at = rng.randint(0, len(holder[last]))
        holder[last] = holder[last][:at] + rng.choice(WORDS) + holder[last][at:]
    else:
        holder[last] = odd(rng)
    return value


def text(rng: random.Random, words: tuple[str, ...]) -> str:
    """A text of given words, hostile ones and what may stand between them."""
    between = (
        " ",
        " ",
        " ",
        ", ",
        ". ",
        "; ",
        "(",
        ")",
        "-",
        "/",
        "\n",
        ": ",
        "'s ",
        " no ",
        " or ",
    )
    parts = []
    for _ in range(rng.choice((1, 3, 8, 20, 60))):
        parts.append(rng.choice(words) if rng.random() < 0.8 else rng.choice(WORDS))
        parts.append(rng.choice(between))
    return "".join(parts)
