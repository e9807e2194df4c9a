"""After the last unit: verdicts, duplicates, caps, splits, shards, ledger.

Everything here is a pure function of the committed units and the configuration, so it can be
repeated with other thresholds (`miner refilter`) and gives the same bytes after any interruption.
The manifest of the shards goes first and comes back last.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from filters.completeness import add_extent
from filters.decide import decide
from filters.splits import split_of
from miner.barrier import ledger
from miner.barrier.compare import compared
from miner.barrier.groups import placed
from miner.barrier.protect import digest as protected_digest
from miner.barrier.protect import guarded
from miner.barrier.sampling import before_after, choose, coverage
from miner.barrier.states import ignored, negatives, states
from miner.barrier.verdicts import RowState, row_states
from miner.commits import MASKS, light_candidates, read_table
from miner.config import Config
from miner.core.layout import FINISHED, LEAKS, MANIFEST, SAMPLING
from miner.core.store import Store
from miner.corpora.config import corpus_name
from shards.card import write_card
from shards.pack import Item, ShardInfo, pack, write_manifest
from shards.sample import grounded_sample
from shards.sides import side_files

Marks = Mapping[str, Mapping[str, Any]]  # by unit_id
ROW_COLUMNS = ("sample_id", "corpus", "row", "image", "image_id", "group")


@dataclasses.dataclass(slots=True)
class _Row:
    """One caption row at the barrier; what is large is read again where it is needed."""

    sample_id: str
    corpus: str
    row: int
    image: str
    image_id: str
    group: str
    state: RowState
    split: str | None = None
    duplicate_of: str | None = None
    similarity: float | None = None
    notes: list[str] = dataclasses.field(default_factory=list)


def digest(store: Store, config: Config, marks: dict[str, dict[str, Any]]) -> str:
    """What the finished output depends on: configuration, protected sets, bytes of all units."""
    units = {u: [t["sha256"] for t in m["tables"].values()] for u, m in sorted(marks.items())}
    parts = [config.digest(), units, *protected_digest(store, config)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def is_finished(store: Store, config: Config, marks: dict[str, dict[str, Any]]) -> bool:
    """Whether shards and ledger are those of this configuration and these units."""
    if not (store.exists(FINISHED) and store.exists(MANIFEST)):
        return False
    return store.read_json(FINISHED)["digest"] == digest(store, config, marks)


def finish(store: Store, config: Config, marks: dict[str, dict[str, Any]]) -> None:
    """Write shards and ledger from committed units.

    Args:
        store: OUT.
        config: of the run; only `filters`, `dedupe`, `sampling`, `shards` and `seed` matter here.
        marks: of every unit, by unit_id.
    """
    store.sweep()
    store.remove(FINISHED)
    store.remove(MANIFEST)
    for name in [*store.names("shards"), *store.names("ledger/samples")]:
        store.remove(name)
    for name in store.names("ledger/candidates"):
        store.remove(name)

    unit_ids = sorted(marks)
    verdicts = _verdicts(store, config, marks)
    rows = {u: _rows(store, config, marks[u], verdicts[u]) for u in unit_ids}
    _guard(store, config, marks, rows)
    families = _drop_duplicates(store, config, marks, rows)
    _place(config, rows, families)
    _sample(store, config, marks, rows, verdicts)
    infos = [
        info
        for split in config.shards.splits
        for info in pack(
            _packed(store, config, marks, rows, verdicts, split),
            store,
            split,
            config.shards,
        )
    ]
    shard_of = _shard_of(store, infos)
    _write_ledger(store, marks, rows, verdicts, shard_of)
    write_card(store, infos, config)
    write_manifest(store, infos, config.digest())
    store.write_json(FINISHED, {"digest": digest(store, config, marks)})


def _verdicts(store: Store, config: Config, marks: Marks) -> dict[str, pa.Table]:
    """Candidates of every unit with verdicts, without their masks."""
    unit_ids = sorted(marks)
    tables = [light_candidates(store, marks[unit_id]) for unit_id in unit_ids]
    lengths = [t.num_rows for t in tables]
    judged = decide(pa.concat_tables(tables, promote_options="default"), config.filters)
    judged = add_extent(judged, config.filters)
    ends = np.cumsum(lengths)
    return {
        unit_id: judged.slice(int(end) - n, n)
        for unit_id, end, n in zip(unit_ids, ends, lengths, strict=True)
    }


def _rows(store: Store, config: Config, mark: Mapping[str, Any], verdicts: pa.Table) -> list[_Row]:
    samples = read_table(store, mark, "samples").to_pylist()
    states = row_states(samples, verdicts.to_pylist(), config.shards.keep_negatives)
    return [
        _Row(
            **{name: sample[name] for name in ROW_COLUMNS},
            state=state,
            notes=sample["notes"] or [],
        )
        for sample, state in zip(samples, states, strict=True)
    ]


def _written(rows: dict[str, list[_Row]]) -> Iterator[tuple[str, _Row]]:
    for unit_id, unit_rows in rows.items():
        for row in unit_rows:
            if row.state.status == "written":
                yield unit_id, row


def _by_image(rows: dict[str, list[_Row]]) -> tuple[list[str], dict[str, list[_Row]]]:
    """Units with written rows, and these by their picture, both in order."""
    by_image: dict[str, list[_Row]] = defaultdict(list)
    units = set()
    for unit_id, row in _written(rows):
        by_image[row.image_id].append(row)
        units.add(unit_id)
    return sorted(units), {image_id: by_image[image_id] for image_id in sorted(by_image)}


def _guard(store: Store, config: Config, marks: Marks, rows: dict[str, list[_Row]]) -> None:
    """Leave out what is like a protected set."""
    store.remove(LEAKS)
    if not config.protect:
        return
    units, by_image = _by_image(rows)
    named = {i: {name for r in rs for name in (r.group, r.image)} for i, rs in by_image.items()}
    for image_id, name in guarded(
        store, config, [marks[u] for u in units], list(by_image), named
    ).items():
        for row in by_image[image_id]:
            row.state = dataclasses.replace(
                row.state, status="excluded", reason=f"protected:{name}"
            )


def _drop_duplicates(
    store: Store, config: Config, marks: Marks, rows: dict[str, list[_Row]]
) -> dict[str, set[str]]:
    """Of pictures that are the same, only the best grounded copy stays written.

    Returns:
        Of every group that shares pictures with others, these, by the copy that stays.
    """
    units, by_image = _by_image(rows)
    if not by_image:
        return {}
    ids = list(by_image)
    ranks = [
        (
            -max(len(r.state.kept) for r in by_image[i]),
            -max(r.state.score for r in by_image[i]),
        )
        for i in ids
    ]
    groups = {i: {row.group for row in by_image[i]} for i in ids}
    sharing: dict[str, set[str]] = defaultdict(set)
    for image_id, found in compared(
        store, config.dedupe, [marks[u] for u in units], ids, ranks
    ).items():
        for row in by_image[image_id]:
            row.state = dataclasses.replace(row.state, status="duplicate", reason=found.reason)
            row.duplicate_of, row.similarity = found.keeper, found.similarity
        for group in groups[image_id] | groups[found.keeper]:
            sharing[group].add(found.keeper)
    return sharing


def _place(config: Config, rows: dict[str, list[_Row]], sharing: dict[str, set[str]]) -> None:
    """Give every written row the split of its group, and leave out what bridges splits."""
    order = {corpus_name(c): i for i, c in enumerate(config.corpora)}
    shown = (r for rs in rows.values() for r in rs if r.state.status in ("written", "duplicate"))
    groups = sorted({(order[row.corpus], row.group) for row in shown})
    splits = placed(
        (group for _, group in groups),
        sharing,
        lambda group: split_of(group, config.shards.splits, config.seed),
    )
    for _, row in _written(rows):
        row.split = splits[row.group]
        if row.split is None:
            row.state = dataclasses.replace(row.state, status="excluded", reason="bridges_splits")


def _sample(
    store: Store,
    config: Config,
    marks: Marks,
    rows: dict[str, list[_Row]],
    verdicts: dict[str, pa.Table],
) -> None:
    """Apply caps and targets."""
    written = [row for _, row in _written(rows)]
    table = _could_be_written(store, marks, rows, verdicts)
    keep, reasons = choose(table, config.sampling, config.seed)
    for row, reason in zip(written, reasons.to_pylist(), strict=True):
        if reason is not None:
            row.state = dataclasses.replace(row.state, status="excluded", reason=reason)
            row.split = None
    concepts, organs, cells = coverage(table, keep.to_pylist())
    store.write_json(
        SAMPLING,
        {
            "before_after": before_after(table, keep.to_pylist()),
            "coverage": {"concepts": concepts, "organs": organs, "samples": cells},
        },
    )


def _could_be_written(
    store: Store, marks: Marks, rows: dict[str, list[_Row]], verdicts: dict[str, pa.Table]
) -> pa.Table:
    """What `choose` looks at, for all rows that are written so far, in their order."""
    columns = ["sample_id", "corpus", "source", "group", "image_id", "strata"]
    parts = []
    for unit_id, unit_rows in rows.items():
        written = [row.state.status == "written" for row in unit_rows]
        concept = verdicts[unit_id]["concept"].to_pylist()
        grounded = [[concept[i] for i in row.state.kept] for row in unit_rows]
        samples = read_table(store, marks[unit_id], "samples", columns)
        samples = samples.append_column("concepts", pa.array(grounded, pa.list_(pa.string())))
        parts.append(samples.filter(pa.array(written, pa.bool_())))
    return pa.concat_tables(parts, promote_options="default")


def _packed(
    store: Store,
    config: Config,
    marks: Marks,
    rows: dict[str, list[_Row]],
    verdicts: dict[str, pa.Table],
    split: str,
) -> Iterator[Item]:
    """Samples of a split with the bytes of their pictures, in the order of the plan."""
    corpora = {corpus_name(c): c for c in config.corpora}
    absent_below = config.filters.absent_below
    for unit_id, unit_rows in rows.items():
        if all(row.split != split for row in unit_rows):
            continue
        images = {i["image_id"]: i for i in read_table(store, marks[unit_id], "images").to_pylist()}
        masks = read_table(store, marks[unit_id], "candidates", MASKS).to_pylist()
        candidates = [
            {**verdict, **mask}
            for verdict, mask in zip(verdicts[unit_id].to_pylist(), masks, strict=True)
        ]
        by_image = defaultdict(list)
        for candidate in candidates:
            by_image[candidate["image_id"]].append(candidate)
        samples = read_table(store, marks[unit_id], "samples").to_pylist()
        for row, sample in zip(unit_rows, samples, strict=True):
            if row.split != split:
                continue
            image = images[row.image_id]
            corpus = corpora[sample["corpus"]]
            sides = side_files(sample, corpus.side_paths, corpus.path)
            mentions, answers = sample["mentions"] or [], by_image[row.image_id]
            kept = [candidates[i] for i in row.state.kept]
            known = states(mentions, answers, {c["concept"] for c in kept}, absent_below)
            grounded = grounded_sample(
                sample,
                image,
                kept,
                split,
                negatives(mentions, known),
                sorted(sides),
                known,
                ignored(mentions, answers, known) if config.shards.keep_ignored else [],
            )
            yield grounded, image["data"], image["format"], sides


def _shard_of(store: Store, infos: Sequence[ShardInfo]) -> dict[str, str]:
    """Tar file name of every key."""
    result = {}
    for info in infos:
        index = store.read_table(info.index, columns=["key"])
        result.update(dict.fromkeys(index["key"].to_pylist(), info.name.rsplit("/", 1)[-1]))
    return result


def _write_ledger(
    store: Store,
    marks: Marks,
    rows: dict[str, list[_Row]],
    verdicts: dict[str, pa.Table],
    shard_of: dict[str, str],
) -> None:
    units: dict[str, list[str]] = defaultdict(list)
    for unit_id, unit_rows in rows.items():
        units[unit_rows[0].corpus].append(unit_id)
    schema = ledger.candidate_schema(next(iter(verdicts.values())).schema)
    for corpus, unit_ids in units.items():
        with ledger.table_writer(
            store, f"ledger/samples/{corpus}.parquet", ledger.SAMPLE_ROWS
        ) as out:
            for unit_id in unit_ids:
                out.write_table(_sample_rows(rows[unit_id], shard_of))
        with ledger.table_writer(store, f"ledger/candidates/{corpus}.parquet", schema) as out:
            for unit_id in unit_ids:
                columns = ["sample_id", "image_id", "mentions"]
                samples = read_table(store, marks[unit_id], "samples", columns).to_pylist()
                out.write_table(ledger.candidate_rows(samples, verdicts[unit_id], schema))


def _sample_rows(rows: Sequence[_Row], shard_of: dict[str, str]) -> pa.Table:
    values = []
    for row in rows:
        written = row.state.status == "written"
        key = row.sample_id if written else None
        values.append(
            {
                **{k: getattr(row, k) for k in ROW_COLUMNS if k != "image_id"},
                "split": row.split,
                "status": row.state.status,
                "reason": row.state.reason,
                "shard": shard_of[key] if key else None,
                "key": key,
                "duplicate_of": row.duplicate_of,
                "similarity": row.similarity,
                "regions": len(row.state.kept),
                "notes": row.notes,
            }
        )
    return pa.Table.from_pylist(values, schema=ledger.SAMPLE_ROWS)
