"""A JSON object of flat objects (ARCH) member by member; one broken member costs itself."""

from __future__ import annotations

import json
import re
from typing import Any

from miner.corpora.json_list import NotAList, said
from miner.corpora.json_resync import GAP, next_entry, past

_MEMBER = re.compile(r'\s*("[^"\\]*(?:\\.[^"\\]*)*")\s*:\s*', re.DOTALL)
_NEXT_MEMBER = re.compile(r'[,}\n]\s*("[^"\\\n]*"\s*:\s*\{)')
_raw_decode = json.JSONDecoder().raw_decode


def json_members(text: str, problems: list[str]) -> list[tuple[str, Any]]:
    """Members of a JSON object of flat objects, in their order, repeated keys and all.

    Args:
        text: JSON.
        problems: gets a line when the object is cut; members before that are whole.

    Returns:
        Key and value; of a broken member the value is None.

    Raises:
        NotAList: the text is no JSON object.
    """
    text = text.strip()
    if not text.startswith("{"):
        raise NotAList(said(text.encode("utf-8", "surrogateescape")))
    at, last = 1, len(text) - 1 if text.endswith("}") else len(text)
    members: list[tuple[str, Any]] = []
    while (at := past(GAP, text, at)) < last:
        member = _MEMBER.match(text, at)
        if member is None:
            break
        begin = member.end()
        value, at = _flat_value(text, begin)
        if value is None:
            following = _NEXT_MEMBER.search(text, begin)
            ends = (following and following.start(1), next_entry(text, begin, True))
            at = min((end for end in ends if end), default=last)
            if at >= last == len(text):
                break
            at = min(at, last)
        members.append((member.group(1)[1:-1], value))
    if at != last or last == len(text):
        problems.append(f"the object breaks off behind {len(members)} members")
    return members


def _flat_value(text: str, at: int) -> tuple[Any, int]:
    """The JSON value there and its end; None where it is broken or has taken in its neighbours."""
    try:
        value, end = _raw_decode(text, at)
    except (ValueError, RecursionError):
        return None, at
    nested = isinstance(value, dict) and any(isinstance(v, dict) for v in value.values())
    return (None, at) if nested else (value, end)
