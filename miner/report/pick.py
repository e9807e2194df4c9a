"""Which examples a report shows, by the ledger alone; no picture is shown twice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from miner.report.masks import WRITTEN

SAMPLES = 6
PER_GROUP = 4
GROUPS = 7
MOST = 400  # masks of one concept and state among which is chosen
CARD = [
    *("sample_id", "picture", "concept", "asked_as", "segmenter", "prompt", "area_px", "score"),
    *("q_value", "calibration", "keep", "state"),
]
Row = dict[str, Any]


def pick(masks: pa.Table, used: Iterable[str] = ()) -> dict[str, Any]:
    """Choose what is shown.

    Args:
        masks: see `masks.masks_table`.
        used: pictures that are shown already.

    Returns:
        samples: sample_ids that are in the shards; accepted: concept -> rows in the shards; others:
        state -> rows of masks that are not. Rows are dicts of the table with a mask, each of a
        picture of its own, from the best score to the worst.
    """
    taken = set(used)
    shown = pc.and_(
        pc.fill_null(pc.equal(masks["polarity"], "affirmed"), False),
        pc.fill_null(pc.greater(masks["area_px"], 0), False),
    )
    table = masks.filter(shown).select(CARD)
    there = pc.equal(table["state"], WRITTEN)
    counts = {
        "concept": _counted(table["concept"].filter(there)),
        "state": _counted(table["state"].filter(pc.invert(there))),
    }
    rows = _some(table).to_pylist()
    written = [r for r in rows if r["state"] == WRITTEN]
    samples = _samples(written, taken)
    accepted = _ranked(written, "concept", counts["concept"])
    others = _ranked([r for r in rows if r["state"] != WRITTEN], "state", counts["state"])
    chosen = _in_turns({**{("accepted", k): v for k, v in accepted.items()},
                        **{("others", k): v for k, v in others.items()}}, taken)  # fmt: skip
    return {
        "samples": samples,
        **{
            side: {name: chosen[side, name] for name in groups if chosen[side, name]}
            for side, groups in (("accepted", accepted), ("others", others))
        },
    }


def _samples(written: Sequence[Row], taken: set[str]) -> list[str]:
    """Samples with many concepts; the corpora take turns."""
    by_sample: dict[str, list[Row]] = defaultdict(list)
    for row in written:
        by_sample[row["sample_id"]].append(row)

    def rank(sample_id: str) -> tuple[int, float, str]:
        found = by_sample[sample_id]
        concepts = len({r["concept"] for r in found})
        return -concepts, -sum(r["score"] or 0 for r in found), sample_id

    lines: dict[str, list[str]] = defaultdict(list)
    for sample_id in sorted(by_sample, key=rank):
        picture = by_sample[sample_id][0]["picture"]
        if picture not in taken:
            lines[sample_id.rsplit("-", 2)[0]].append(sample_id)
    turns = [ids[i] for i in range(SAMPLES) for _, ids in sorted(lines.items()) if i < len(ids)]
    chosen = turns[:SAMPLES]
    taken.update(by_sample[sample_id][0]["picture"] for sample_id in chosen)
    return chosen


def _some(table: pa.Table) -> pa.Table:
    """At most so many rows of each concept and state, drawn with a seed: all of a small run."""
    pairs = pc.binary_join_element_wise(table["state"], table["concept"], "/")
    key = pairs.combine_chunks().dictionary_encode().indices.to_numpy()
    order = np.lexsort((np.random.default_rng(0).random(len(key)), key))
    rank = np.arange(len(key)) - np.searchsorted(key[order], key[order])
    return table.take(pa.array(np.sort(order[rank < MOST])))


def _counted(column: pa.ChunkedArray) -> dict[str, int]:
    return {one["values"]: one["counts"] for one in column.value_counts().to_pylist()}


def _ranked(rows: Sequence[Row], key: str, counts: Mapping[str, int]) -> dict[str, list[Row]]:
    """Rows of the largest groups, from the best score to the worst."""
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row[key]].append(row)
    largest = sorted(groups, key=lambda name: (-counts[name], name))[:GROUPS]
    return {
        name: sorted(groups[name], key=lambda r: (-(r["score"] or 0), r["sample_id"], r["concept"]))
        for name in largest
    }


def _in_turns(
    groups: Mapping[tuple[str, str], Sequence[Row]], taken: set[str]
) -> dict[tuple[str, str], list[Row]]:
    """Of each group a few, evenly over its scores; the groups take turns with the pictures."""
    at: dict[tuple[str, str], dict[int, Row]] = {name: {} for name in groups}
    for turn in range(PER_GROUP):
        for name, rows in groups.items():
            # The best, the worst, then between them.
            share = (0.0, 1.0, 0.33, 0.67)[turn]
            wish = round(share * (len(rows) - 1))
            near = np.argsort(np.abs(np.arange(len(rows)) - wish), kind="stable")
            free = (int(i) for i in near if rows[i]["picture"] not in taken)
            if (found := next(free, None)) is not None:
                at[name][found] = rows[found]
                taken.add(rows[found]["picture"])
    return {name: [rows[i] for i in sorted(rows)] for name, rows in at.items()}
