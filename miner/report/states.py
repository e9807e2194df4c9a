"""What the shards say is present, absent and unknown: from their indices alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow.compute as pc

from miner.core.store import Store
from miner.report import words
from shards.index import read_index
from shards.read import ShardReader
from shards.sample import GroundedSample, KnownConcept

SURE = 0.9  # `exhaustive` from which on a region is probably all of its concept


def state_counts(store: Store) -> dict[str, int]:
    """How often concepts of written samples are present, whole, absent and unknown.

    Returns:
        present; whole: of these, regions that are probably all of it; absent; unknown. Shards of
        format 1 tell of none but those that are present.
    """
    index, _ = read_index(store, None, ["concepts", "exhaustive", "absent", "unknown"])
    found = {
        name: pc.sum(pc.list_value_length(index[column])).as_py() or 0
        for name, column in (("present", "concepts"), ("absent", "absent"), ("unknown", "unknown"))
    }
    sure = pc.greater_equal(pc.list_flatten(index["exhaustive"]), SURE)
    return {**found, "whole": pc.sum(sure).as_py() or 0}


def state_funnel(found: Mapping[str, int]) -> list[tuple[str, int, str]]:
    """Steps from what was named or asked for to what is all there: name, count, what was lost."""
    known = found["present"] + found["absent"]
    return [
        ("concepts of samples, named or asked for", known + found["unknown"], ""),
        ("known to be there or not", known, _lost(found["unknown"], "unknown")),
        ("present, with a region", found["present"], _lost(found["absent"], "absent")),
        (
            "probably all of it",
            found["whole"],
            _lost(found["present"] - found["whole"], "perhaps in part"),
        ),
    ]


def _lost(count: int, why: str) -> str:
    return f"−{count:,} {why}" if count else ""


def states_of(store: Store, key: str) -> Sequence[KnownConcept]:
    """What a written sample says of its concepts; none in shards of format 1.

    Args:
        store: a finished OUT.
        key: of the sample.
    """
    columns = ["key", "json_offset", "json_size", "json_crc32"]
    index, shards = read_index(store, None, columns)
    (row,) = index.filter(pc.equal(index["key"], key)).to_pylist()
    place = (row[name] for name in columns[1:])
    sample: GroundedSample = json.loads(ShardReader(store, shards).read(row["shard"], *place))
    return sample.get("concepts", ())


def state_rows(known: Sequence[KnownConcept]) -> list[tuple[str, str, str, str]]:
    """Concept, state, probability that it is there, why; what is known first."""
    order = ("present", "absent", "unknown")
    ranked = sorted(known, key=lambda c: (order.index(c["state"]), c["concept"]))
    return [(c["concept"], c["state"], _figure(c["p"]), words.known(c["why"])) for c in ranked]


def _figure(value: Any) -> str:
    return "–" if value is None else f"{value:.2f}"
