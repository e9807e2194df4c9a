"""From scores to what the whole run decides: rates of false masks, and the page of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from filters.config import FilterConfig
from filters.decide import Judged, accepted_from, estimate_fdr, judge
from filters.page import calibration_page
from miner.barrier.parts import Part
from miner.barrier.pieces import Piece, Place, read_piece


def judged(place: Place, given: tuple[Part, FilterConfig]) -> dict[str, Piece]:
    """Judge the candidates of a part alone.

    Returns:
        judged: piece of `Judged.to_table`; light: piece of `Part.candidates`.
    """
    part, config = given
    candidates = part.candidates(place.store)
    return {
        "judged": place.write(judge(candidates, config).to_table()),
        "light": place.write(candidates, "light"),
    }


def rates(place: Place, given: tuple[Sequence[Piece], FilterConfig]) -> dict[str, Any]:
    """Estimate the false-discovery rate over all parts.

    Returns:
        pieces: of each part, with `q` of its candidates; accepted_from: see
        `filters.decide.accepted_from`, null when nothing is accepted; page: see
        `filters.page.calibration_page`.
    """
    pieces, config = given
    tables = [read_piece(place.store, piece) for piece in pieces]
    everything = Judged.from_table(pa.concat_tables(tables))
    lengths = [table.num_rows for table in tables]
    del tables
    estimate = estimate_fdr(everything, config)
    lowest = accepted_from(everything, estimate, config)
    written, start = [], 0
    for number, length in enumerate(lengths):
        q = pa.array(estimate.q[start : start + length])
        written.append(place.write(pa.table({"q": q}), f"{number:06d}"))
        start += length
    return {
        "pieces": written,
        "accepted_from": None if lowest == float("inf") else lowest,
        "page": calibration_page(everything, estimate, lowest, config),
    }
