"""Tars: which samples go into one follows from sizes known before, so each is packed by itself.

A tar whose members are what they were in the data set that stands is left where it is.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any

import numpy as np
import pyarrow as pa

from miner.barrier.parts import Part
from miner.barrier.pieces import Piece, Place, read_piece
from miner.barrier.rewrite import rewritten
from miner.barrier.states import ignored, negatives, states
from miner.commits import read_table
from miner.config import Config
from miner.core.rows import JudgedCandidate
from miner.core.store import Store
from miner.corpora.config import corpus_name
from miner.version import __version__
from shards.build import grounded_sample
from shards.pack import Item, ShardInfo, index_name, pack_tar
from shards.sample import AlsoCaption, json_schema
from shards.sides import side_files

# Columns of a unit's images that a sample is made of.
PICTURES = [
    "image_id",
    "data",
    "format",
    "width",
    "height",
    "mpp",
    "mpp_source",
    "sha256",
]
_ANSWER = frozenset(JudgedCandidate.__annotations__)  # of a candidate, what are no scores


@dataclasses.dataclass(frozen=True)
class Filled:
    """What the rows of a part bring into a tar.

    Attributes:
        part: which part.
        rows: piece of `outcomes`.
        verdicts: likewise.
        chosen: piece of `choice`.
    """

    part: Part
    rows: Piece
    verdicts: Piece
    chosen: Piece


@dataclasses.dataclass(frozen=True)
class Tar:
    """What `tar` is given.

    Attributes:
        number: of the tar in the run.
        name: such as `train-000000.tar`.
        split: name of the split.
        filled: its parts.
        config: of the run.
        next: folder in OUT of what is to be published.
        old: of the tar of that name that stands: `made_of` and its entry in the manifest.
    """

    number: int
    name: str
    split: str
    filled: Sequence[Filled]
    config: Config
    next: str
    old: tuple[str, Mapping[str, Any]] | None


def tar(place: Place, given: Tar) -> dict[str, Any]:
    """Pack a tar and its index, or only copy the index where the tar stands as it is.

    Returns:
        info: fields of `shards.pack.ShardInfo`; made_of: digest of all that the tar depends on;
        stays: whether the tar in its place is this one.
    """
    store, target = place.store, place.store.below(given.next)
    units = list(_units(store, given))
    made_of = _made_of(given, units)
    if given.old is not None and given.old[0] == made_of and _stands(store, given.old[1]):
        entry = dict(given.old[1])
        name = index_name(given.name)
        data = store.read(name)
        if hashlib.sha256(data).hexdigest() == entry["index_sha256"]:
            target.write(name, data)
            return {"info": entry, "made_of": made_of, "stays": True}
    info = pack_tar(_items(store, given, units), target, given.name, given.split)
    return {"info": dataclasses.asdict(info), "made_of": made_of, "stays": False}


def info_of(done: Mapping[str, Any]) -> ShardInfo:
    """The entry of the manifest of a tar that is done."""
    return ShardInfo(**done["info"])


def _stands(store: Store, entry: Mapping[str, Any]) -> bool:
    name = f"shards/{entry['name']}"
    return store.exists(name) and store.fs.size(store.path(name)) == entry["bytes"]


@dataclasses.dataclass(frozen=True)
class _UnitRows:
    """Rows of one unit that go into a tar.

    Attributes:
        part: which part.
        which: number of the unit in the part.
        rows: int64, numbers among the unit's samples.
        kept: of each, numbers of the kept masks among the unit's candidates.
        also: of each, captions of copies; None where nobody asked for them.
        verdicts: of the unit's candidates.
    """

    part: Part
    which: int
    rows: np.ndarray
    kept: list[list[int]]
    also: list[list[AlsoCaption]] | None
    verdicts: pa.Table


def _units(store: Store, given: Tar) -> Iterator[_UnitRows]:
    for filled in given.filled:
        chosen = read_piece(store, filled.chosen)
        mine = np.flatnonzero(chosen["tar"].fill_null(-1).to_numpy() == given.number)
        riding = chosen["also"] if given.config.shards.also_captions else None
        kept = read_piece(store, filled.rows, ["kept"])["kept"].combine_chunks()
        verdicts = read_piece(store, filled.verdicts)
        ends = filled.part.ends("samples")
        unit = np.searchsorted(ends, mine, side="right")
        for which in np.unique(unit).tolist():
            here = mine[unit == which]
            candidates = filled.part.unit(which, "candidates")
            yield _UnitRows(
                filled.part,
                which,
                here - filled.part.unit(which, "samples").start,
                [
                    [i - candidates.start for i in row]
                    for row in kept.take(pa.array(here)).to_pylist()
                ],
                None if riding is None else riding.take(pa.array(here)).to_pylist(),
                verdicts[candidates],
            )


def _made_of(given: Tar, units: Sequence[_UnitRows]) -> str:
    """Digest of what the bytes of a tar depend on; with side files it is never twice the same."""
    config = given.config
    digest = hashlib.sha256()
    head = [__version__, json_schema(), given.name, config.filters.absent_below]
    head.append(config.shards.keep_ignored)
    digest.update(json.dumps(head, sort_keys=True).encode())
    beside = {corpus_name(c) for c in config.corpora if c.side_paths}
    for unit in units:
        if unit.part.corpus in beside:
            return ""
        mark = unit.part.marks[unit.which]
        tables = {name: table["sha256"] for name, table in mark["tables"].items()}
        said = [mark["unit_id"], tables, unit.rows.tolist(), unit.kept, unit.also]
        digest.update(json.dumps(said).encode())
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, unit.verdicts.schema) as stream:
            stream.write_table(unit.verdicts.combine_chunks())
        digest.update(sink.getvalue())
    return digest.hexdigest()


def _items(store: Store, given: Tar, units: Sequence[_UnitRows]) -> Iterator[Item]:
    """Samples of a tar with the bytes of their pictures, in the order of the plan."""
    corpora = {corpus_name(c): c for c in given.config.corpora}
    absent_below = given.config.filters.absent_below
    keep_ignored = given.config.shards.keep_ignored
    for unit in units:
        corpus, mark = corpora[unit.part.corpus], unit.part.marks[unit.which]
        samples = read_table(store, mark, "samples").take(pa.array(unit.rows)).to_pylist()
        wanted = {sample["image_id"] for sample in samples}
        pictures = _pictures(read_table(store, mark, "images", PICTURES), wanted)
        candidates = _candidates(store, unit, wanted, keep_ignored)
        by_image: dict[str, list[JudgedCandidate]] = defaultdict(list)
        for candidate in candidates.values():
            by_image[candidate["image_id"]].append(candidate)
        for i, (sample, rows) in enumerate(zip(samples, unit.kept, strict=True)):
            image = pictures[sample["image_id"]]
            sides = side_files(sample, corpus.side_paths, corpus.path)
            kept = [candidates[i] for i in rows]
            if kept and sample["status"] is not None:
                sample = rewritten(sample, kept)
            mentions, answers = sample["mentions"] or [], by_image[sample["image_id"]]
            facts = sample["facts"] or []
            grounded = {c["concept"] for c in kept}
            known = states(mentions, answers, grounded, absent_below, facts)
            built = grounded_sample(
                sample,
                image,
                kept,
                given.split,
                negatives(mentions, known),
                sorted(sides),
                known,
                ignored(mentions, answers, known) if keep_ignored else [],
                None if unit.also is None else unit.also[i],
            )
            yield built, image["data"], image["format"], sides


def _pictures(images: pa.Table, wanted: Set[str]) -> dict[str, Any]:
    """Rows of some pictures by image_id; their bytes are not copied."""
    data = images["data"]
    rows = images.drop_columns(["data"]).to_pylist()
    return {
        row["image_id"]: {**row, "data": data[i].as_buffer()}
        for i, row in enumerate(rows)
        if row["image_id"] in wanted
    }


def _candidates(
    store: Store, unit: _UnitRows, image_ids: Set[str], scores: bool
) -> dict[int, JudgedCandidate]:
    """Candidates of some pictures with verdicts, by their number in the unit.

    Args:
        store: OUT.
        unit: which.
        image_ids: of the pictures.
        scores: give them all their scores, not only those that are kept.
    """
    table = read_table(store, unit.part.marks[unit.which], "candidates")
    tables = (table, unit.verdicts)
    columns = {n: c for t in tables for n, c in zip(t.column_names, t.columns, strict=True)}
    answers = [name for name in columns if name in _ANSWER]
    full = [*answers, *(name for name in columns if name not in _ANSWER)]
    rows = zip(*(_values(columns[name]) for name in full), strict=True)
    kept = {i for row in unit.kept for i in row}
    at = full.index("image_id")
    found: dict[int, Any] = {}
    for i, row in enumerate(rows):
        if row[at] in image_ids:
            names = full if scores or i in kept else answers
            found[i] = dict(zip(names, row, strict=False))  # the first of the values
    return found


def _values(column: pa.ChunkedArray) -> list[Any]:
    """A column as a list; numbers without gaps by way of numpy, in a tenth of the time."""
    plain = pa.types.is_floating(column.type) and column.null_count == 0
    return column.to_numpy().tolist() if plain else column.to_pylist()
