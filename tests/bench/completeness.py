"""How far masks say all that there is: numbers, "all of it" and "not there", beside the truth."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from filters.calibration.fit_extent import ABSENT_ASKED, is_whole
from filters.calibration.labelled import Labelled
from filters.calibration.survey import survey
from filters.completeness import add_extent
from filters.config import FilterConfig
from filters.decide import decide
from filters.stage import Score
from miner.barrier.states import gone
from segmenters.protocol import Segmenter
from shards.instruct.numbers import said

PRECISION = 0.9


def report(name: str, tiles: Iterable[Labelled], segmenter: Segmenter) -> None:
    """Survey tiles and print what is said of them, and how often it is true."""
    config = FilterConfig(precision=PRECISION)
    table = survey(tiles, segmenter, Score(config), ABSENT_ASKED)
    print(f"\n## {name}: what is said of all that there is")
    print("\n".join(lines(table, segmenter.name, config)))


def lines(table: pa.Table, segmenter: str, config: FilterConfig) -> list[str]:
    """Figures of a survey (`filters.calibration.survey.survey`) of a segmenter, one a line."""
    drawn = table.filter(pc.greater(pc.fill_null(table["area_px"], 0), 0))
    silent = table.filter(pc.equal(pc.fill_null(table["area_px"], 0), 0))
    drawn = add_extent(decide(drawn, config), config)
    kept = np.array(drawn["keep"].to_pylist(), bool)
    rows = [row for row, keep in zip(drawn.to_pylist(), kept, strict=True) if keep]
    return [
        *_numbers(rows),
        *_wholes(drawn, kept),
        *_absences(drawn.to_pylist(), _answered(silent, segmenter, config)),
    ]


def _numbers(rows: list[dict]) -> list[str]:
    held, words = [], {"exact": [], "about": [], "least": []}
    for row in rows:
        if row["count_low"] is None:
            continue
        n, true = int(row["geometry_objects"]), row["true"]
        held.append(row["count_low"] <= true <= row["count_high"])
        text = said({"low": row["count_low"], "n": n, "high": row["count_high"]})
        if text is None:
            continue
        if text.startswith("at least"):
            words["least"].append(true >= int(text.split()[-1].replace(",", "")))
        else:
            near = 0.1 if text.isdigit() else 0.25
            words["exact" if text.isdigit() else "about"].append(abs(true - n) <= near * true)
    return [
        f"numbers: {len(held)} intervals hold the truth {_share(held)} (bar .95)",
        f"  told exactly, within 10 %: {_share(words['exact'])} (bar .90); "
        f"about, within 25 %: {_share(words['about'])}; at least: {_share(words['least'])}; "
        f"not told: {len(held) - sum(map(len, words.values()))}",
    ]


def _wholes(drawn: pa.Table, kept: np.ndarray) -> list[str]:
    said_ = np.array([v or 0.0 for v in drawn["exhaustive"].to_pylist()])
    sure = kept & (said_ >= PRECISION)
    whole = is_whole(drawn)[sure]
    return [
        f"said to be all: {_share(list(whole))} (bar {PRECISION:.2f}) of {int(kept.sum())} kept"
    ]


def _absences(drawn: list[dict], silent: list[dict]) -> list[str]:
    """Every concept that was asked, as if the caption denied it."""
    limit = FilterConfig().absent_below
    denied = [row for row in [*drawn, *silent] if gone([row], limit)]
    wrong = sorted(row["asked"] for row in denied if row["present"])
    lacking = sum(not row["present"] for row in [*drawn, *silent])
    asked = len(drawn) + len(silent)
    return [
        f"would be denied: {len(denied)} of {lacking} absent ones and of {asked} asked; of them "
        f"there: {len(wrong)} {', '.join(sorted(set(wrong)))}"
    ]


def _answered(silent: pa.Table, segmenter: str, config: FilterConfig) -> list[dict]:
    """Answers of a segmenter without a mask, with the probability that the concept is there."""
    if not silent.num_rows:
        return []
    empty = pa.array(["empty"] * silent.num_rows)
    named = silent.set_column(silent.column_names.index("concept"), "concept", silent["asked"])
    named = named.set_column(named.column_names.index("reason"), "reason", empty)
    kinds = [_kind(name) for name in silent["asked"].to_pylist()]
    named = named.set_column(named.column_names.index("kind"), "kind", pa.array(kinds))
    who = pa.array([segmenter] * silent.num_rows)
    named = named.set_column(named.column_names.index("segmenter"), "segmenter", who)
    return add_extent(decide(named, config), config).to_pylist()


def _kind(name: str) -> str:
    from ner.concepts import concepts

    return concepts()[name].kind


def _share(values: list) -> str:
    return f"{np.mean(values):.3f} of {len(values)}" if values else "none"
