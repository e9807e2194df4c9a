"""How far auditors agree beyond chance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence


def cohen(first: Sequence[str], second: Sequence[str]) -> float | None:
    """Cohen's kappa of two auditors over the same items (J. Cohen, 1960).

    Args:
        first: verdicts of one.
        second: verdicts of the other, item by item.

    Returns:
        1 for full agreement, 0 for that of chance; None without items, and where both always say
        the same one thing, so that chance explains all.
    """
    n = len(first)
    if n == 0:
        return None
    same = sum(a == b for a, b in zip(first, second, strict=True)) / n
    one, two = Counter(first), Counter(second)
    chance = sum(one[v] * two[v] for v in one) / n**2
    return None if chance == 1 else (same - chance) / (1 - chance)


def krippendorff(verdicts: Mapping[str, Sequence[str]]) -> float | None:
    """Krippendorff's alpha for names, any number of auditors, gaps allowed (K. Krippendorff, 1970).

    Args:
        verdicts: of every item, one per auditor who judged it.

    Returns:
        1 for full agreement, 0 for that of chance; None where fewer than two verdicts meet or only
        one verdict was ever given.
    """
    pairable = [list(found) for found in verdicts.values() if len(found) > 1]
    values = Counter(v for found in pairable for v in found)
    n = values.total()
    if n < 2 or len(values) < 2:
        return None
    observed = sum(
        sum(c * (len(found) - c) for c in Counter(found).values()) / (len(found) - 1)
        for found in pairable
    )
    expected = sum(c * (n - c) for c in values.values()) / (n - 1)
    return 1 - observed / expected
