"""Mined regions against expert masks: how many, how good, how precise."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from miner.commits import marks, read_table
from miner.core.store import Store
from miner.evaluate.figures import by_threshold, row
from miner.evaluate.known import Place, known
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
        `known.known`; `judged_as`: [concept, the one asked for in its place, regions] of those
        held against the truth of another concept; `left_out`: label maps that judge
        nothing, in sentences.

    Raises:
        Refused: `masks` has no label maps, none of a picture of the run, or OUT no shards.
    """
    truth = truth_of(masks, pictures_of(store))
    found = judged(store, truth)
    asked_as = _asked_as(store)
    asked = None if asked_as is None else _asked(asked_as, truth)
    others = Counter((j.concept, j.judged_as) for j in found if j.judged_as is not None)
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
        "known": known(store, truth, asked_as or {}),
        "judged_as": [[*pair, n] for pair, n in sorted(others.items())],
        "left_out": truth.left_out(),
    }


def _rows(found: Sequence[Judged], name: Callable[[Judged], str]) -> dict[str, dict[str, Any]]:
    groups: dict[str, list[Judged]] = defaultdict(list)
    for one in found:
        groups[name(one)].append(one)
    return {key: row(some) for key, some in sorted(groups.items())}


def _asked_as(store: Store) -> dict[Place, str | None] | None:
    """Concept asked for in the place of each that a caption affirms; None without a ledger."""
    if not store.names("ledger/candidates", suffix=".parquet"):
        return None
    rows = ledger_table(store, "samples", ["sample_id", "corpus", "image"])
    place = {r["sample_id"]: (r["corpus"], r["image"]) for r in rows.to_pylist()}
    columns = ["sample_id", "concept", "polarity"]
    table = ledger_table(store, "candidates", columns, ["asked_as"])
    found: dict[Place, str | None] = {}
    for one in table.filter(pc.equal(table["polarity"], "affirmed")).to_pylist():
        name = (*place[one["sample_id"]], one["concept"])
        found[name] = found.get(name) or one.get("asked_as")
    return found


def _asked(asked_as: Mapping[Place, str | None], truth: Truth) -> int:
    """Pairs of picture and concept that a caption affirms, that were asked for and outlined."""
    return sum(
        truth.outlined(corpus, image, truth.answering(corpus, image, concept, other))
        for (corpus, image, concept), other in asked_as.items()
    )


def _captions(store: Store) -> Iterator[Mapping[str, Any]]:
    """Captions with their mentions: of the units where OUT has them, else of the shards."""
    units = marks(store)
    columns = ["corpus", "image", "caption", "mentions"]
    for _, mark in sorted(units.items()):
        yield from read_table(store, mark, "samples", columns).to_pylist()
    if not units:
        yield from written(store)
