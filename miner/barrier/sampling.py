"""Which accepted samples are written: caps and targets per stratum and per concept.

Rows are taken in the order of a hash of seed and sample_id, so the choice depends on neither
workers nor the order of files.
"""

from __future__ import annotations

import hashlib
import logging
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from miner.barrier.config import Cap, ConceptCap, SamplingConfig, Share, Target
from miner.core.errors import Refused
from ner.strata import COLUMNS, DIMENSIONS, UNKNOWN

log = logging.getLogger(__name__)


def choose(
    samples: pa.Table, config: SamplingConfig, seed: int
) -> tuple[pa.BooleanArray, pa.StringArray]:
    """Choose among samples that could be written.

    Args:
        samples: columns `sample_id`, `concepts` (list of the concepts it grounds), `strata`
            (list<miner.core.unit.STRATUM>) and those of `ner.strata.COLUMNS` that caps name.
        config: caps and targets.
        seed: of the run.

    Returns:
        Per row: whether it is kept; why not (`cap:organ=colon`, `cap:concept=nucleus`,
        `share:corpus=quilt`), else null.

    Raises:
        Refused: a cap names a column that `samples` lacks.
    """
    n = samples.num_rows
    if not config.leaves_out:
        return pa.array([True] * n, pa.bool_()), pa.nulls(n, pa.string())
    ids = samples["sample_id"].to_pylist()
    order = sorted(range(n), key=lambda i: _rank(seed, ids[i]))
    columns = {name: stratum_values(samples, name) for name in dimensions(config)}
    concepts = [sorted(set(c or ())) for c in samples["concepts"].to_pylist()]
    keep = [False] * n
    reasons: list[str | None] = [None] * n
    counts: Counter[tuple[Any, ...]] = Counter()
    _tell_absent(config, columns, concepts)

    rules: tuple[Cap | Target, ...] = (*config.caps, *config.targets)

    def take(i: int) -> None:
        keep[i] = True
        counts.update(
            {(rule.by, "/".join(columns[d][i] for d in rule.by)) for rule in rules if rule.by}
        )
        counts.update(("concept", c) for c in concepts[i])

    for i in order:
        for target in config.targets:
            if target.concept:
                key: tuple[Any, ...] = ("concept", target.concept)
                wanted = target.concept in concepts[i]
            else:
                value = "/".join(columns[d][i] for d in target.by)
                key = (target.by, value)
                wanted = target.value in ("", value)
            if wanted and counts[key] < target.min_samples:
                take(i)
                break
    for i in order:
        if not keep[i]:
            reasons[i] = _full(i, config, columns, concepts[i], counts)
            if reasons[i] is None:
                take(i)
    for share in config.shares:
        _proportion(share, columns, order, keep, reasons)
    return pa.array(keep, pa.bool_()), pa.array(reasons, pa.string())


def _tell_absent(
    config: SamplingConfig, columns: Mapping[str, Sequence[str]], concepts: Sequence[Sequence[str]]
) -> None:
    """Warn of caps and targets on what no sample has, as a typing error would be."""
    named = {concept for of_one in concepts for concept in of_one}
    of_strata: dict[str, Sequence[Cap | Target]] = {
        "caps": config.caps,
        "targets": [target for target in config.targets if target.by],
    }
    for setting, rules in of_strata.items():
        for rule in rules:
            there = map("/".join, zip(*(columns[d] for d in rule.by), strict=True))
            if rule.value and rule.value not in there:
                what = f"{'/'.join(rule.by)}={rule.value}"
                log.warning("sampling.%s: nothing of %s is there", setting, what)
    of_concepts: dict[str, Sequence[ConceptCap | Target]] = {
        "concept_caps": config.concept_caps,
        "targets": config.targets,
    }
    for setting, wanted in of_concepts.items():
        for one in wanted:
            if one.concept and one.concept not in named:
                log.warning("sampling.%s: nothing of concept=%s is there", setting, one.concept)


def _proportion(
    share: Share,
    columns: Mapping[str, Sequence[str]],
    order: Sequence[int],
    keep: list[bool],
    reasons: list[str | None],
) -> None:
    """Leave out what is too much of a value beside the others."""
    values = {i: "/".join(columns[d][i] for d in share.by) for i in order if keep[i]}
    there = Counter(values.values())
    weights = {value: weight for value, weight in share.weights.items() if there[value]}
    if len(weights) < len(share.weights):
        missing = ", ".join(sorted(share.weights.keys() - weights.keys()))
        log.warning("sampling.shares: nothing of %s is there", missing)
    if not weights:
        return
    unit = min(there[value] / weight for value, weight in weights.items())
    # Not a sample less by the last bit of a quotient.
    room = {value: math.floor(weight * unit + 1e-9) for value, weight in weights.items()}
    for i, value in values.items():
        if value in room:
            room[value] -= 1
            if room[value] < 0:
                keep[i], reasons[i] = False, _too_much(share, value)


def _too_much(share: Share, value: str) -> str:
    """Why a sample of a value is left out."""
    return f"share:{'/'.join(share.by)}={value}"


def _full(
    i: int,
    config: SamplingConfig,
    columns: Mapping[str, Sequence[str]],
    concepts: Sequence[str],
    counts: Mapping[tuple[Any, ...], int],
) -> str | None:
    """The first cap that has no room for row i."""
    for cap in config.caps:
        value = "/".join(columns[d][i] for d in cap.by)
        if cap.value in ("", value) and counts[(cap.by, value)] >= cap.max_samples:
            return f"cap:{'/'.join(cap.by)}={value}"
    if not config.concept_caps or not concepts:
        return None
    limits = [
        min(
            (c.max_samples for c in config.concept_caps if c.concept in ("", concept)),
            default=None,
        )
        for concept in concepts
    ]
    over = [
        concept
        for concept, limit in zip(concepts, limits, strict=True)
        if limit is not None and counts[("concept", concept)] >= limit
    ]
    return f"cap:concept={over[0]}" if len(over) == len(concepts) else None


def _rank(seed: int, sample_id: str) -> bytes:
    return hashlib.sha256(f"{seed}\0{sample_id}".encode()).digest()


def dimensions(config: SamplingConfig) -> list[str]:
    """Dimensions that caps and targets are by."""
    rules: tuple[Cap | Target | Share, ...] = (*config.caps, *config.targets, *config.shares)
    return sorted({d for rule in rules for d in rule.by})


def stratum_values(samples: pa.Table, dimension: str) -> list[str]:
    """Value of a dimension for every row; `unknown` where nothing says it.

    It is a column of `samples`, or else looked for in `strata`.

    Raises:
        Refused: the dimension is neither.
    """
    if dimension in samples.column_names:
        return [v or UNKNOWN for v in samples[dimension].to_pylist()]
    if dimension in COLUMNS:
        raise Refused(f"sampling: the samples have no column {dimension}")
    strata = samples["strata"].combine_chunks()
    flat = strata.flatten()
    mine = pc.equal(flat.field("dimension"), dimension)
    rows = pc.list_parent_indices(strata).filter(mine).to_pylist()
    said = flat.field("value").filter(mine).to_pylist()
    values = [UNKNOWN] * len(samples)
    for row, value in zip(reversed(rows), reversed(said), strict=True):  # of several the first
        values[row] = value
    return values


def before_after(samples: pa.Table, keep: Sequence[bool]) -> dict[str, list[tuple[str, int, int]]]:
    """Per dimension: (value, samples before, samples after), the largest first.

    Args:
        samples: as for `choose`.
        keep: what `choose` returned, as a list.
    """
    tables = {}
    for dimension in DIMENSIONS:
        values = stratum_values(samples, dimension)
        before = Counter(values)
        after = Counter(v for v, kept in zip(values, keep, strict=True) if kept)
        ranked = sorted(before.items(), key=_most)
        tables[dimension] = [(value, n, after[value]) for value, n in ranked]
    return tables


def coverage(
    samples: pa.Table, keep: Sequence[bool]
) -> tuple[list[str], list[str], list[list[int]]]:
    """How many kept samples ground a concept in an organ.

    Returns:
        Concepts and organs, each the most frequent first, and counts by concept and organ. A cell
        of 0 is a gap in the data set.
    """
    cells: Counter[tuple[str, str]] = Counter()
    values = stratum_values(samples, "organ")
    for concepts, value, kept in zip(samples["concepts"].to_pylist(), values, keep, strict=True):
        if kept:
            cells.update((concept, value) for concept in set(concepts or ()))
    return _crossed(cells)


def merged(parts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """What `before_after` and `coverage` say of all parts of a run, from what they say of each.

    Args:
        parts: {"before_after": ..., "coverage": {"concepts", "organs", "samples"}} each.
    """
    before: dict[str, Counter[str]] = {name: Counter() for name in DIMENSIONS}
    after: dict[str, Counter[str]] = {name: Counter() for name in DIMENSIONS}
    cells: Counter[tuple[str, str]] = Counter()
    for part in parts:
        for name, rows in part["before_after"].items():
            for value, n, kept in rows:
                before[name][value] += n
                after[name][value] += kept
        found = part["coverage"]
        for concept, row in zip(found["concepts"], found["samples"], strict=True):
            cells.update({(concept, o): n for o, n in zip(found["organs"], row, strict=True) if n})
    tables = {
        name: [(value, n, after[name][value]) for value, n in sorted(b.items(), key=_most)]
        for name, b in before.items()
    }
    concepts, organs, samples = _crossed(cells)
    return {
        "before_after": tables,
        "coverage": {"concepts": concepts, "organs": organs, "samples": samples},
    }


def _most(item: tuple[str, int]) -> tuple[int, str]:
    return -item[1], item[0]


def _crossed(cells: Counter[tuple[str, str]]) -> tuple[list[str], list[str], list[list[int]]]:
    """Names of rows and columns, the most frequent first, and counts by both."""
    by_row: Counter[str] = Counter()
    by_column: Counter[str] = Counter()
    for (row, column), n in cells.items():
        by_row[row] += n
        by_column[column] += n
    rows = [name for name, _ in sorted(by_row.items(), key=_most)]
    columns = [name for name, _ in sorted(by_column.items(), key=_most)]
    return rows, columns, [[cells[(r, c)] for c in columns] for r in rows]
