"""Text from elsewhere made fit to be seen: without credentials, without commands to a terminal.

Names, captions and answers come from anybody, addresses may hold a password or a key. Whatever is
printed, logged, stored or hashed of them goes through here.
"""

from __future__ import annotations

import re
from typing import Any

HIDDEN = "…"

_SCHEME = r"[A-Za-z][A-Za-z0-9+.-]{0,30}://"  # without a bound letters alone take quadratic time
_URL = re.compile(rf"({_SCHEME})((?:(?!::{_SCHEME})[^\s\"'<>])*)")
# user:password@, also where an unquoted slash in the password tears it; but no port.
_USER = re.compile(r"[^/?#]*@|[^/?#@:]*:(?!\d+(?:[/?#]|$)).*@")
_QUERY = re.compile(r"([?&;#])([^=&;#?]+)=([^&;#]*)")
_SECRET_NAME = re.compile(
    r"key|token|secret|sig|pass|pwd|auth|cred|code|session|jwt|sas\b", re.IGNORECASE
)
# What no person would name anything: long, of letters and digits.
_SECRET_VALUE = re.compile(r"(?=.*\d)(?=.*[A-Za-z])[\w.~%+/=-]{16,}")
_HEADER = re.compile(r"\b((?i:Bearer|Basic)\s+)(?=\S*(?:\d|=|[a-z][A-Z]))[\w.~+/=-]{6,}")
# Controls of both kinds, marks that turn the direction of text, line separators, lone surrogates.
_COMMANDS = re.compile(
    "[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def masked(text: str) -> str:
    """Text in which URLs have no user, password or key, and headers no credentials.

    Of a query what is called like a key, or looks like one, becomes `…`; the rest stays, so that an
    address can be told from another.
    """
    return _HEADER.sub(rf"\1{HIDDEN}", _URL.sub(_without_user, text))


def all_masked(value: Any) -> Any:
    """A plain value (of JSON) with every string in it masked."""
    if isinstance(value, dict):
        return {name: all_masked(one) for name, one in value.items()}
    if isinstance(value, list):
        return [all_masked(one) for one in value]
    return masked(value) if isinstance(value, str) else value


def shown(text: str, lines: bool = False) -> str:
    r"""Text as it may be printed: masked, and what steers a terminal spelled out (`\u001b`).

    Args:
        text: anything.
        lines: leave line feeds; without it the result is one line.
    """
    return _COMMANDS.sub(_kept if lines else _spelled, masked(text))


def markdown(text: str) -> str:
    """Text in one line without a meaning in Markdown or HTML."""
    return re.sub(r"([\\`*\[\]<>#|~])", r"\\\1", " ".join(shown(text).split()))


def _without_user(found: re.Match[str]) -> str:
    user = _USER.match(found[2])
    rest = found[2][user.end() :] if user else found[2]
    return found[1] + _QUERY.sub(_without_key, rest)


def _without_key(found: re.Match[str]) -> str:
    secret = _SECRET_NAME.search(found[2]) or _SECRET_VALUE.fullmatch(found[3])
    return f"{found[1]}{found[2]}={HIDDEN}" if secret else found[0]


def _kept(found: re.Match[str]) -> str:
    return "\n" if found[0] == "\n" else _spelled(found)


def _spelled(found: re.Match[str]) -> str:
    return r"\n" if found[0] == "\n" else f"\\u{ord(found[0]):04x}"  # as JSON spells it, too
