"""What two finished runs keep and drop, and why."""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import Any

import pyarrow as pa

from miner.config import difference, in_force
from miner.core.errors import Refused
from miner.core.layout import FINISHED, RUN, check_out
from miner.core.store import Store
from miner.report.ledger import ledger_table
from miner.report.masks import WRITTEN, masks_table

NOT_THERE = "not there"
Place = tuple[str, str, str]  # picture, concept, segmenter
Row = tuple[str, int, str]  # corpus, row, picture


@dataclasses.dataclass(frozen=True)
class Difference:
    """What differs from run A to run B.

    Attributes:
        settings: lines "name: value of A -> value of B".
        rows: caption rows by (state in A, state in B), those that differ; a state is the status
            with its reason, or `not there`.
        masks: masks likewise, by (state in A, state in B).
        concepts: by concept, masks in the shards of A alone and of B alone.
        same_rows: caption rows in the same state.
        same_masks: masks in the same state.
        examples: by (state in A, state in B) some sample_ids of masks.
        row_examples: likewise of caption rows.
    """

    settings: tuple[str, ...]
    rows: dict[tuple[str, str], int]
    masks: dict[tuple[str, str], int]
    concepts: dict[str, tuple[int, int]]
    same_rows: int
    same_masks: int
    examples: dict[tuple[str, str], list[str]]
    row_examples: dict[tuple[str, str], list[str]]


def diff(one: Store, other: Store, examples: int = 3) -> Difference:
    """Compare two OUTs, of the same corpora or not.

    Rows are the same where corpus, row number and picture are, masks where picture, concept and
    segmenter are.

    Args:
        one: A.
        other: B.
        examples: sample_ids to give for each change.

    Raises:
        Refused: either is no finished run.
    """
    for store in (one, other):
        check_out(store)
        if not store.exists(FINISHED):
            raise Refused(f"{store.url}: its run has not finished; miner run goes on with it")
    configs = [
        {**in_force(s.read_json(RUN, ["config"])["config"]), "out": ""} for s in (one, other)
    ]
    lines = [_rows(store) for store in (one, other)]
    rows, same_rows = _moved(*({k: v[0] for k, v in s.items()} for s in lines))
    states = [_masks(store) for store in (one, other)]
    masks, same_masks = _moved(*({k: v[0] for k, v in s.items()} for s in states))
    shown: dict[tuple[str, str], list[str]] = {}
    concepts: dict[str, list[int]] = {}
    for place in sorted(states[0].keys() | states[1].keys()):
        a, b = (s.get(place, (NOT_THERE, "")) for s in states)
        if a[0] == b[0]:
            continue
        some = shown.setdefault((a[0], b[0]), [])
        if len(some) < examples:
            some.append(f"{a[1] or b[1]} ({place[1]})")
        counts = concepts.setdefault(place[1], [0, 0])
        counts[0] += a[0] == WRITTEN
        counts[1] += b[0] == WRITTEN
    return Difference(
        settings=tuple(difference(configs[0], configs[1])),
        rows=rows,
        masks=masks,
        concepts={c: (a, b) for c, (a, b) in sorted(concepts.items()) if a or b},
        same_rows=same_rows,
        same_masks=same_masks,
        examples=shown,
        row_examples=_some_rows(lines[0], lines[1], examples),
    )


def _moved(a: dict[Any, str], b: dict[Any, str]) -> tuple[dict[tuple[str, str], int], int]:
    """How many went from which state to which, the most frequent first; and how many stayed."""
    pairs = Counter((a.get(key, NOT_THERE), b.get(key, NOT_THERE)) for key in a.keys() | b.keys())
    same = sum(n for (left, right), n in pairs.items() if left == right)
    ranked = sorted(pairs.items(), key=lambda item: (-item[1], item[0]))
    return {pair: n for pair, n in ranked if pair[0] != pair[1]}, same


def _rows(store: Store) -> dict[Row, tuple[str, str]]:
    """State and sample_id of every caption row."""
    columns = ["corpus", "row", "image", "status", "reason", "sample_id"]
    table = ledger_table(store, "samples", columns)
    return {
        (corpus, row, image): (status if reason is None else f"{status}: {reason}", sample_id)
        for corpus, row, image, status, reason, sample_id in _lines(table, columns)
    }


def _some_rows(
    a: dict[Row, tuple[str, str]], b: dict[Row, tuple[str, str]], most: int
) -> dict[tuple[str, str], list[str]]:
    """The first sample_ids of each change, by (state in A, state in B)."""
    shown: dict[tuple[str, str], list[str]] = {}
    for row in sorted(a.keys() | b.keys()):
        left, right = (s.get(row, (NOT_THERE, "")) for s in (a, b))
        some = shown.setdefault((left[0], right[0]), [])
        if left[0] != right[0] and len(some) < most:
            some.append(left[1] or right[1])
    return {pair: some for pair, some in shown.items() if some}


def _masks(store: Store) -> dict[Place, tuple[str, str]]:
    """State and sample_id of every concept that was asked for."""
    columns = ["picture", "concept", "segmenter", "state", "sample_id"]
    lines = _lines(masks_table(store), columns)
    return {(p, c, s): (state or "", sample_id) for p, c, s, state, sample_id in lines}


def _lines(table: pa.Table, columns: list[str]) -> zip[Any]:
    return zip(*(table[name].to_pylist() for name in columns), strict=True)
