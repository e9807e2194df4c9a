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

from miner.barrier.against import Standing, standing
from miner.barrier.captions import drop_captions, riding
from miner.barrier.compare import Shown, compared
from miner.barrier.groups import Layout, placed
from miner.barrier.parts import Part
from miner.barrier.pieces import Piece, Place, read_piece
from miner.barrier.protect import certificate
from miner.barrier.run_rows import ByImage, RunRows
from miner.barrier.sampling import choose, dimensions
from miner.config import Config
from miner.core.store import Store
from miner.corpora.config import corpus_name


@dataclasses.dataclass(frozen=True)
class Choosing:
    """What `choice` is given.

    Attributes:
        parts: of the run.
        rows: piece of each, see `outcomes`.
        shown: the pictures of the run.
        near: pieces of `miner.barrier.near`; None: not compared by thumbnail.
        placed: pieces of `miner.barrier.against.shown`, whose pictures are the last of `shown`.
        guard: pieces of `miner.barrier.protect.guard`, none when nothing is protected.
        controls: of `miner.barrier.protect.control_sets`.
        config: of the run.
    """

    parts: Sequence[Part]
    rows: Sequence[Piece]
    shown: Shown
    near: Sequence[Piece] | None
    placed: Sequence[Piece]
    guard: Sequence[Piece]
    controls: Sequence[Mapping[str, Any]]
    config: Config


def choice(place: Place, given: Choosing) -> dict[str, Any]:
    """Decide on every row.

    Returns:
        rows: of each part a piece with status, reason, split, duplicate_of, similarity, tar
        (number in `tars`, null) and, where they ride along, also (captions) by row; tars: name,
        split and numbers of the parts of each;
        leaks: the certificate, null when nothing is protected.
    """
    store, config = place.store, given.config
    rows = RunRows(store, given.rows)
    leaks = _guard(store, given, rows)
    theirs = standing(store, given.placed)
    families = _drop_duplicates(store, given, rows, theirs)
    if config.dedupe.caption:
        drop_captions(rows, config.dedupe.largest_share)
    _place(given, rows, families, theirs)
    _cap(given, rows)
    if config.shards.also_captions:
        rows.also = riding(rows)
    tars = _tars(rows, config)
    pieces, start = [], 0
    for part, length in zip(given.parts, rows.lengths, strict=True):
        here = slice(start, start + length)
        pieces.append(place.write(rows.table(here), part.name))
        start += length
    return {"rows": pieces, "tars": tars, "leaks": leaks}


def _guard(store: Store, given: Choosing, rows: RunRows) -> dict[str, Any] | None:
    """Leave out what is like a protected set; returns the certificate."""
    if not given.config.protect:
        return None
    table = rows.of_written(["image_id"])
    images = ByImage(rows, table["image_id"])
    found = pa.concat_tables([read_piece(store, piece) for piece in given.guard])
    at = images.index(found["image_id"])
    for row, number in zip(at[::-1].tolist(), found["set"].to_pylist()[::-1], strict=True):
        # Of several sets the first is named.
        rows.exclude(images.of(row), reason=f"protected:{given.config.protect[number].name}")
    return certificate(given.config, given.controls, found, len(images))


def _drop_duplicates(
    store: Store, given: Choosing, rows: RunRows, theirs: Standing
) -> dict[str, set[str]]:
    """Of pictures that are the same the best grounded stays written, if no finished run has it.

    Returns:
        Of every group that shares pictures with others, these, by the copy that stays.
    """
    table = rows.of_written(["image_id", "kept", "score"])
    images = ByImage(rows, table["image_id"])
    if not len(images):
        return {}
    kept = table["kept"].combine_chunks()
    counts = images.most(np.diff(kept.offsets.to_numpy()))
    scores = images.most(table["score"].to_numpy())
    del table, kept
    ranks = np.stack([-counts, -scores], axis=1)
    ranks = np.concatenate([np.full((len(theirs.image_ids), 2), -np.inf), ranks])
    image_ids = [*theirs.image_ids, *images.ids.to_pylist()]
    found = compared(
        store,
        given.config.dedupe,
        given.shown,
        given.near,
        image_ids,
        ranks,
        len(theirs.image_ids),
    )
    found = {name: copy for name, copy in found.items() if name not in theirs.families}
    at = images.index(pa.chunked_array([pa.array([*found], pa.string())])).tolist()
    keepers = [duplicate.keeper for duplicate in found.values()]
    to = images.index(pa.chunked_array([pa.array(keepers, pa.string())])).tolist()
    sharing: dict[str, set[str]] = defaultdict(set)
    for duplicate, row, keeper in zip(found.values(), at, to, strict=True):
        copies = images.of(row)
        stay = images.of(keeper) if keeper >= 0 else copies[:0]
        rows.drop(copies, duplicate.keeper, duplicate.similarity, duplicate.reason)
        for group in {*rows.group[copies], *rows.group[stay]}:
            sharing[group].add(duplicate.keeper)
    return sharing


def _place(given: Choosing, rows: RunRows, sharing: dict[str, set[str]], theirs: Standing) -> None:
    """Give every written row the split of its group, and leave out what bridges splits."""
    config = given.config
    order = {corpus_name(c): i for i, c in enumerate(config.corpora)}
    corpus = np.array([order[part.corpus] for part in given.parts], int)
    shown = (rows.status == "written") | (rows.status == "duplicate")
    groups: list[set[str]] = [set() for _ in order]
    for at, group in zip(
        corpus[rows.part[shown]].tolist(), rows.group[shown].tolist(), strict=True
    ):
        groups[at].add(group)
    layout = Layout(config.shards.splits, config.seed, theirs.splits, theirs.families)
    splits = placed(groups, sharing, layout)
    written = rows.written
    rows.split[written] = [splits[group] for group in rows.group[written].tolist()]
    bridging = written[np.array([s is None for s in rows.split[written].tolist()], bool)]
    rows.exclude(bridging, reason="bridges_splits")


def _cap(given: Choosing, rows: RunRows) -> None:
    """Apply caps and targets."""
    sampling = given.config.sampling
    if not sampling.leaves_out:
        return
    concepts = ["concepts"] if sampling.concept_caps or sampling.targets else []
    wanted = dict.fromkeys(["sample_id", *concepts, *dimensions(sampling)])
    have = rows.column_names
    table = rows.of_written([name for name in wanted if name in have])
    if "concepts" not in table.column_names:
        table = table.append_column("concepts", pa.nulls(len(table), pa.list_(pa.string())))
    _, reasons = choose(table, sampling, given.config.seed)
    written = rows.written
    for row, reason in zip(written.tolist(), reasons.to_pylist(), strict=True):
        if reason is not None:
            rows.exclude([row], reason=reason)


def _tars(rows: RunRows, config: Config) -> list[dict[str, Any]]:
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
