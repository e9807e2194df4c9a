"""Amounts of time, bytes and tokens in the unit in which they read best."""

from __future__ import annotations

# The largest first, and their size.
_UNITS = {
    "time": (("hours", 3600.0), ("minutes", 60.0), ("seconds", 1.0)),
    "bytes": (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)),
    "tokens": (("millions of tokens", 1e6), ("thousands of tokens", 1e3), ("tokens", 1.0)),
}


def unit(kind: str, amount: float) -> tuple[str, float]:
    """The unit in which an amount reads best, and the factor that gives it.

    Args:
        kind: `time`, `bytes` or `tokens`.
        amount: in seconds, bytes or tokens.
    """
    name, size = next((u for u in _UNITS[kind] if amount >= u[1]), _UNITS[kind][-1])
    return name, 1 / size
