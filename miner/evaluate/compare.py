"""Mined regions against expert masks: how many, how good, how precise."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from miner.commits import marks, read_table
from miner.core.store import Store
from miner.evaluate.figures import by_threshold, row
from miner.evaluate.known import known
from miner.evaluate.phrases import phrases
from miner.evaluate.regions import Judged, judged, pictures_of, written
from miner.evaluate.truth import Truth, truth_of
from miner.report.ledger import ledger_table


def evaluate(store: Store, masks: Path) -> dict[str, Any]:
    """Compare the regions in the shards with label maps, and mentions with a gold.

    A mask counts once per picture, however many captions name it.

    Args:
        store: a finished OUT.
        masks: see `truth.truth_of`.

    Returns:
        `all`, and by name `concepts`, `corpora`, `strata` (by dimension): see `figures.row`;
        `asked`: structures asked for that experts outlined, None where the ledger is not there;
        `thresholds`: see `figures.by_threshold`; `phrases`: see `phrases.phrases`; `known`: see
        `known.known`; `left_out`: label maps that judge nothing, in sentences.

    Raises:
        Refused: `masks` has no label maps, none of a picture of the run, or OUT no shards.
    """
    truth = truth_of(masks, pictures_of(store))
    found = judged(store, truth)
    asked = _asked(store, truth)
    return {
        "all": row(found),
        "concepts": _rows(found, lambda j: j.concept),
        "corpora": _rows(found, lambda j: j.corpus),
        "strata": {
            dimension: _rows(found, lambda j, d=dimension: j.strata.get(d, "unknown"))  # type: ignore[misc]
            for dimension in sorted({d for j in found for d in j.strata})
        },
        "asked": asked,
        "thresholds": by_threshold(found, asked),
        "phrases": phrases(truth.gold, _captions(store), found),
        "known": known(store, truth),
        "left_out": truth.left_out(),
    }


def _rows(found: Sequence[Judged], name: Callable[[Judged], str]) -> dict[str, dict[str, Any]]:
    groups: dict[str, list[Judged]] = defaultdict(list)
    for one in found:
        groups[name(one)].append(one)
    return {key: row(some) for key, some in sorted(groups.items())}


def _asked(store: Store, truth: Truth) -> int | None:
    """Pairs of picture and concept that a caption affirms, that were asked for and outlined."""
    if not store.names("ledger/candidates", suffix=".parquet"):
        return None
    rows = ledger_table(store, "samples", ["sample_id", "corpus", "image"])
    place = {r["sample_id"]: (r["corpus"], r["image"]) for r in rows.to_pylist()}
    table = ledger_table(store, "candidates", ["sample_id", "concept", "polarity"])
    table = table.filter(pc.equal(table["polarity"], "affirmed"))
    pairs = zip(table["sample_id"].to_pylist(), table["concept"].to_pylist(), strict=True)
    named = {(*place[sample_id], concept) for sample_id, concept in pairs}
    return sum(truth.outlined(*one) for one in named)


def _captions(store: Store) -> Iterator[Mapping[str, Any]]:
    """Captions with their mentions: of the units where OUT has them, else of the shards."""
    units = marks(store)
    columns = ["corpus", "image", "caption", "mentions"]
    for _, mark in sorted(units.items()):
        yield from read_table(store, mark, "samples", columns).to_pylist()
    if not units:
        yield from written(store)
