"""Which rows are written, in which split and tar: what needs all parts at once.

What is like a protected set, copies, what bridges splits and what is above a cap is left out, in
this order. All of it is columns over the rows of the run; of the rows that cannot be written only
group and state are looked at.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from filters.splits import split_of
from miner.barrier.compare import Shown, compared
from miner.barrier.groups import placed
from miner.barrier.parts import Part
from miner.barrier.pieces import Piece, Place, read_piece
from miner.barrier.protect import certificate
from miner.barrier.sampling import choose, dimensions
from miner.config import Config
from miner.core.store import Store
from miner.corpora.config import corpus_name

_TEXT = pa.dictionary(pa.int32(), pa.string())


@dataclasses.dataclass(frozen=True)
class Choosing:
    """What `choice` is given.

    Attributes:
        parts: of the run.
        rows: piece of each, see `outcomes`.
        shown: the pictures of the run.
        near: pieces of `miner.barrier.near`; None: not compared by thumbnail.
        guard: pieces of `miner.barrier.protect.guard`, none when nothing is protected.
        controls: of `miner.barrier.protect.control_sets`.
        config: of the run.
    """

    parts: Sequence[Part]
    rows: Sequence[Piece]
    shown: Shown
    near: Sequence[Piece] | None
    guard: Sequence[Piece]
    controls: Sequence[Mapping[str, Any]]
    config: Config


def choice(place: Place, given: Choosing) -> dict[str, Any]:
    """Decide on every row.

    Returns:
        rows: of each part a piece with status, reason, split, duplicate_of, similarity and tar
        (number in `tars`, null) by row; tars: name, split and numbers of the parts of each;
        leaks: the certificate, null when nothing is protected.
    """
    store, config = place.store, given.config
    rows = _Rows(store, given)
    leaks = _guard(store, given, rows)
    families = _drop_duplicates(store, given, rows)
    _place(given, rows, families)
    _cap(store, given, rows)
    tars = _tars(rows, config)
    pieces, start = [], 0
    for part, length in zip(given.parts, rows.lengths, strict=True):
        here = slice(start, start + length)
        pieces.append(place.write(rows.table(here), part.name))
        start += length
    return {"rows": pieces, "tars": tars, "leaks": leaks}


class _Rows:
    """Columns over the rows of the run."""

    def __init__(self, store: Store, given: Choosing):
        columns = ["group", "status", "reason", "size"]
        tables = [read_piece(store, piece, columns) for piece in given.rows]
        self.lengths = [len(table) for table in tables]
        self.part = np.repeat(np.arange(len(tables)), self.lengths)
        table = pa.concat_tables(tables).unify_dictionaries()
        self.group, self.status, self.reason = (_texts(table[name]) for name in columns[:3])
        self.size = table["size"].to_numpy()
        n = len(table)
        self.split, self.duplicate_of = np.full(n, None, object), np.full(n, None, object)
        self.similarity, self.tar = np.full(n, np.nan), np.full(n, -1, np.int32)

    @property
    def written(self) -> np.ndarray:
        return np.flatnonzero(self.status == "written")

    def exclude(self, rows: np.ndarray | list[int], reason: str) -> None:
        self.status[rows], self.reason[rows] = "excluded", reason
        self.split[rows] = None

    def of_written(self, store: Store, given: Choosing, columns: list[str]) -> pa.Table:
        """Further columns, of the rows that are written by now."""
        tables, start = [], 0
        for piece, length in zip(given.rows, self.lengths, strict=True):
            mask = pa.array(self.status[start : start + length] == "written", pa.bool_())
            tables.append(read_piece(store, piece, columns).filter(mask))
            start += length
        return pa.concat_tables(tables).unify_dictionaries()

    def table(self, rows: slice) -> pa.Table:
        tar = self.tar[rows]
        return pa.table(
            {
                **{
                    n: pa.array(getattr(self, n)[rows], _TEXT)
                    for n in ("status", "reason", "split")
                },
                "duplicate_of": pa.array(self.duplicate_of[rows], pa.string()),
                "similarity": pa.array(self.similarity[rows], from_pandas=True),
                "tar": pa.array(tar, pa.int32(), mask=tar < 0),
            }
        )


class _ByImage:
    """Rows that could be written by their picture.

    Attributes:
        ids: the pictures, in order, strings.
        row: numbers of the rows, by picture; those of picture i are `of(i)`.
    """

    def __init__(self, rows: _Rows, image_ids: pa.ChunkedArray):
        known = image_ids.combine_chunks().dictionary_encode()
        order = pc.array_sort_indices(known.dictionary).to_numpy().astype(np.int64)
        self.ids = known.dictionary.take(pa.array(order))
        rank = np.empty(len(order), np.int64)
        rank[order] = np.arange(len(order))
        self.code = rank[known.indices.to_numpy()] if len(order) else np.empty(0, np.int64)
        sort = np.argsort(self.code, kind="stable")
        self.row = rows.written[sort]
        self._starts = np.searchsorted(self.code[sort], np.arange(len(order) + 1))

    def __len__(self) -> int:
        return len(self.ids)

    def index(self, image_ids: pa.ChunkedArray) -> np.ndarray:
        """Places of some pictures in `ids`: int64 (m,)."""
        found = pc.index_in(image_ids.combine_chunks(), value_set=self.ids)
        return np.asarray(found.cast(pa.int64()))

    def of(self, i: int) -> np.ndarray:
        return self.row[self._starts[i] : self._starts[i + 1]]

    def most(self, values: np.ndarray) -> np.ndarray:
        """Largest value of each picture's rows, float64 (pictures,)."""
        most = np.full(len(self), -np.inf)
        np.maximum.at(most, self.code, values)
        return most


def _guard(store: Store, given: Choosing, rows: _Rows) -> dict[str, Any] | None:
    """Leave out what is like a protected set; returns the certificate."""
    if not given.config.protect:
        return None
    table = rows.of_written(store, given, ["image_id"])
    images = _ByImage(rows, table["image_id"])
    found = pa.concat_tables([read_piece(store, piece) for piece in given.guard])
    at = images.index(found["image_id"])
    for row, number in zip(at[::-1].tolist(), found["set"].to_pylist()[::-1], strict=True):
        # Of several sets the first is named.
        rows.exclude(images.of(row), reason=f"protected:{given.config.protect[number].name}")
    return certificate(given.config, given.controls, found, len(images))


def _drop_duplicates(store: Store, given: Choosing, rows: _Rows) -> dict[str, set[str]]:
    """Of pictures that are the same, only the best grounded copy stays written.

    Returns:
        Of every group that shares pictures with others, these, by the copy that stays.
    """
    table = rows.of_written(store, given, ["image_id", "kept", "score"])
    images = _ByImage(rows, table["image_id"])
    if not len(images):
        return {}
    kept = table["kept"].combine_chunks()
    counts = images.most(np.diff(kept.offsets.to_numpy()))
    scores = images.most(table["score"].to_numpy())
    del table, kept
    ranks = np.stack([-counts, -scores], axis=1)
    image_ids = images.ids.to_pylist()
    near = given.near
    found = compared(store, given.config.dedupe, given.shown, near, image_ids, ranks)
    at = images.index(pa.chunked_array([pa.array([*found], pa.string())])).tolist()
    keepers = [duplicate.keeper for duplicate in found.values()]
    to = images.index(pa.chunked_array([pa.array(keepers, pa.string())])).tolist()
    sharing: dict[str, set[str]] = defaultdict(set)
    for duplicate, row, keeper in zip(found.values(), at, to, strict=True):
        copies, stay = images.of(row), images.of(keeper)
        rows.status[copies], rows.reason[copies] = "duplicate", duplicate.reason
        rows.duplicate_of[copies] = duplicate.keeper
        rows.similarity[copies] = duplicate.similarity
        for group in {*rows.group[copies], *rows.group[stay]}:
            sharing[group].add(duplicate.keeper)
    return sharing


def _place(given: Choosing, rows: _Rows, sharing: dict[str, set[str]]) -> None:
    """Give every written row the split of its group, and leave out what bridges splits."""
    config = given.config
    order = {corpus_name(c): i for i, c in enumerate(config.corpora)}
    corpus = np.array([order[part.corpus] for part in given.parts], int)
    shown = (rows.status == "written") | (rows.status == "duplicate")
    pairs = zip(corpus[rows.part[shown]].tolist(), rows.group[shown].tolist(), strict=True)
    splits = placed(
        (group for _, group in sorted(set(pairs))),
        sharing,
        lambda group: split_of(group, config.shards.splits, config.seed),
    )
    written = rows.written
    rows.split[written] = [splits[group] for group in rows.group[written].tolist()]
    bridging = written[np.array([s is None for s in rows.split[written].tolist()], bool)]
    rows.exclude(bridging, reason="bridges_splits")


def _cap(store: Store, given: Choosing, rows: _Rows) -> None:
    """Apply caps and targets."""
    sampling = given.config.sampling
    if not sampling.leaves_out:
        return
    concepts = ["concepts"] if sampling.concept_caps or sampling.targets else []
    wanted = dict.fromkeys(["sample_id", *concepts, *dimensions(sampling)])
    have = read_piece(store, given.rows[0]).column_names
    table = rows.of_written(store, given, [name for name in wanted if name in have])
    if "concepts" not in table.column_names:
        table = table.append_column("concepts", pa.nulls(len(table), pa.list_(pa.string())))
    _, reasons = choose(table, sampling, given.config.seed)
    written = rows.written
    for row, reason in zip(written.tolist(), reasons.to_pylist(), strict=True):
        if reason is not None:
            rows.exclude([row], reason=reason)


def _tars(rows: _Rows, config: Config) -> list[dict[str, Any]]:
    """Give every written row its tar, in the order of the plan; the tars.

    A tar takes rows until the next one would lead above its target size, by what is known of the
    sizes before anything is written.
    """
    tars: list[dict[str, Any]] = []
    for split in sorted(config.shards.splits):  # in whichever order a file lists them
        mine = np.flatnonzero(rows.split == split)
        number, held = 0, 0
        for row, size in zip(mine.tolist(), rows.size[mine].tolist(), strict=True):
            if held == 0 or held + size > config.shards.max_bytes:
                tars.append({"name": f"{split}-{number:06d}.tar", "split": split, "parts": []})
                number, held = number + 1, 0
            held += size
            rows.tar[row] = len(tars) - 1
            part = int(rows.part[row])
            if part not in tars[-1]["parts"][-1:]:
                tars[-1]["parts"].append(part)
    return tars


def _texts(column: pa.ChunkedArray) -> np.ndarray:
    """A column of dictionaries as objects, equal ones the same: object (n,)."""
    parts = [
        np.array([*chunk.dictionary.to_pylist(), None], object)[
            chunk.indices.fill_null(-1).to_numpy()
        ]
        for chunk in column.chunks
    ]
    return np.concatenate(parts) if parts else np.empty(0, object)
