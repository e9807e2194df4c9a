"""A number in words, no closer than its interval."""

from __future__ import annotations

from shards.sample import CountRange

EXACT = 0.1  # share of the number that either end of the interval may be off for it to be said
ABOUT = 0.25  # the same for "about"
WORTH = 1 / 3  # share of the number below which "at least" tells too little
LEAST = "at least"


def said(count: CountRange | None) -> str | None:
    """How the number of objects may be told: "12", "about 12", "at least 9", or not at all.

    Args:
        count: of a region, None where it was not measured.
    """
    if count is None or count["n"] < 1:
        return None
    low, n = count["low"], count["n"]
    if _within(count, EXACT):
        return f"{n:,}"
    if _within(count, ABOUT):
        return f"about {n:,}"
    return f"{LEAST} {_down(low):,}" if low >= max(2, WORTH * n) else None


def _down(number: int) -> int:
    """A lower end as one says it: from 20 on in tens, from 1,000 on in hundreds."""
    step = 1 if number < 20 else 10 if number < 1000 else 100
    return number // step * step


def _within(count: CountRange, share: float) -> bool:
    """Whether both ends of the interval are that near to the number."""
    n = count["n"]
    return count["low"] >= (1 - share) * n and count["high"] <= (1 + share) * n
