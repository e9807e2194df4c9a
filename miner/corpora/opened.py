"""A sample of a corpus's pictures, opened: what cannot be read is known before a run."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence

import numpy as np

from miner.core.store import Store
from miner.corpora.load import read_pictures
from miner.corpora.rows import Reader, Row

PICTURES = 24
# Rows that are out for their text say nothing of their picture.
OF_TEXTS = frozenset(
    {
        *("wrong_number_of_fields", "malformed_csv", "unterminated_quote", "malformed_json"),
        *("no_json_object", "caption_is_no_text", "missing_text", "bad_utf8"),
        *("no_dialogue", "turn_is_no_text", "unknown_role", "no_answer"),
    }
)


@dataclasses.dataclass(frozen=True)
class Opened:
    """What opening a few pictures showed.

    Attributes:
        pictures: that should have been opened.
        faults: of these, how many cannot be read, by reason.
    """

    pictures: int
    faults: dict[str, int]

    @property
    def bad(self) -> int:
        """How many cannot be read."""
        return sum(self.faults.values())

    @property
    def said(self) -> str:
        """`20 of 24 pictures cannot be read: missing_image 19, truncated 1`; "" where all can."""
        why = ", ".join(f"{reason} {n}" for reason, n in self.faults.items())
        return f"{self.bad} of {self.pictures} pictures cannot be read: {why}" if why else ""


def opened(source: Reader, rows: Sequence[Row], store: Store) -> Opened:
    """Open pictures of rows, evenly spread ones, each once, as a run would.

    Args:
        source: of the rows; its zips are indexed in `store`.
        rows: those that are out for another reason than their picture are passed over.
        store: OUT, or what stands for it.
    """
    named = {
        row.image or f"row {row.row}": row
        for row in rows
        if row.status in (None, "unreadable") and row.reason not in OF_TEXTS
    }
    every = list(named.values())
    at = np.unique(np.linspace(0, len(every) - 1, min(len(every), PICTURES)).astype(int))
    some = [every[i] for i in at]
    faults = Counter(str(row.reason) for row in some if row.status is not None)
    found = read_pictures(source, [row for row in some if row.status is None], store)
    faults.update(str(p.reason) for p in found.values() if p.status == "unreadable")
    return Opened(len(some), dict(sorted(faults.items())))
