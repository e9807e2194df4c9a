"""Numbers in sentences for people."""

from __future__ import annotations


def counted(number: int, one: str, many: str = "") -> str:
    """`1 sample`, `1,234 samples`: a count with its noun.

    Args:
        number: how many.
        one: the noun in the singular.
        many: its plural, where that is not `one` with an s.
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"
