"""Licences that exclude each other: what nobody may pass on as one data set."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping

_CC = re.compile(r"\bcc[ -]?by((?:[ -](?:nc|sa|nd))*)\b", re.IGNORECASE)
_OTHER = {"odbl": re.compile(r"\bodbl\b", re.IGNORECASE), "gpl": re.compile(r"\bgpl", re.I)}


def exclusive(licenses: Mapping[str, str]) -> list[tuple[str, str]]:
    """Pairs of names whose licences exclude each other.

    A licence that wants changed copies under itself (share alike) goes with none that wants the
    same of another kind, and one that allows no changed copies (no derivatives) with none of the
    former: https://creativecommons.org/faq, "Can I combine material under different licenses".
    Texts that are none of these say nothing and exclude nothing.

    Args:
        licenses: text by name, as the publisher or the configuration states it.
    """
    kinds = {name: _kind(text) for name, text in licenses.items()}
    return [
        (a, b)
        for a, b in itertools.combinations(kinds, 2)
        if _apart(kinds[a], kinds[b]) or _apart(kinds[b], kinds[a])
    ]


def _kind(text: str) -> frozenset[str]:
    """Conditions that a licence makes on changed copies; empty for none that is known."""
    found = _CC.search(text)
    if found is not None:
        return frozenset(re.findall("nc|sa|nd", found.group(1).lower()))
    return frozenset(name for name, spelled in _OTHER.items() if spelled.search(text))


def _apart(one: frozenset[str], other: frozenset[str]) -> bool:
    if "nd" in one:
        return bool(other & {"sa", "odbl", "gpl"})
    alike = {"sa", "odbl", "gpl"}
    if not (one & alike and other & alike):
        return False
    return one & alike != other & alike or ("nc" in one) != ("nc" in other)
