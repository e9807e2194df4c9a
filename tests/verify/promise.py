"""A promise, its bar, and what was measured."""

from __future__ import annotations

import dataclasses
from typing import Literal

Verdict = Literal["holds", "short", "skipped"]


@dataclasses.dataclass(frozen=True)
class Promise:
    """One line of the table.

    Attributes:
        what: what is promised.
        bar: what must be measured for it to hold.
        figure: what was measured, or why nothing was.
        verdict: `skipped` where what it is measured on is absent.
    """

    what: str
    bar: str
    figure: str
    verdict: Verdict


def promise(what: str, bar: str, figure: str, holds: bool) -> Promise:
    """A promise that was measured."""
    return Promise(what, bar, figure, "holds" if holds else "short")


def skipped(what: str, bar: str, why: str) -> Promise:
    """A promise that could not be measured here."""
    return Promise(what, bar, why, "skipped")
