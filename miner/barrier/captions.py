"""Captions of copies: rows that go as another picture has theirs, and texts that ride along."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from filters.dedupe.captions import said, same_caption
from filters.dedupe.levels import FEW
from miner.barrier.run_rows import RunRows
from miner.core.errors import Refused
from shards.sample import AlsoCaption


def drop_captions(rows: RunRows, largest_share: float) -> None:
    """Of rows of several pictures with one caption only those of the best grounded one stay.

    Args:
        rows: of the run; they say what became of them.
        largest_share: largest share of the written rows that may be dropped for one of them.

    Raises:
        Refused: more would be.
    """
    table, written = rows.of_written(["image_id", "caption", "kept", "score"]), rows.written
    words = [said(caption) for caption in table["caption"].to_pylist()]
    speaks = np.array([word is not None for word in words], bool)
    table, written, n = table.filter(pa.array(speaks)), written[speaks], len(written)
    kept = pc.list_value_length(table["kept"]).to_numpy()
    stands = same_caption(
        np.array([word for word in words if word is not None], np.int64),
        pc.rank(table["image_id"].combine_chunks(), tiebreaker="dense").to_numpy().astype(np.int64),
        np.stack([-kept, -table["score"].to_numpy()], axis=1),
    )
    gone = np.flatnonzero(stands != np.arange(len(stands)))
    image_ids = table["image_id"].to_pylist()
    for best, count in Counter(stands[gone].tolist()).most_common(1):
        if count > max(FEW, largest_share * n):
            raise Refused(
                f"dedupe.largest_share: {count} of {n} rows would be dropped as their caption is "
                f"one of {image_ids[best]}; look at it, and raise it above {count / n:.2g} or "
                "leave dedupe.caption out"
            )
    keepers = [image_ids[best] for best in stands[gone].tolist()]
    rows.drop(written[gone], keepers, similarity=1.0, reason="caption")


def riding(rows: RunRows) -> dict[int, list[AlsoCaption]]:
    """Captions of dropped copies that ride along on a written row of the picture that stays.

    A caption goes to the first row of that picture that is under its licence, once, and not where
    a caption of the picture says the same.
    """
    columns = ["image_id", "sample_id", "license", "caption"]
    copied = (rows.status == "duplicate") & (rows.reason != "caption")
    keepers = rows.duplicate_of[copied].tolist()
    holders: dict[str, list[tuple[int, dict[str, Any]]]] = defaultdict(list)
    stay = set(keepers)
    for number, row in zip(
        rows.written.tolist(), rows.of_written(columns).to_pylist(), strict=True
    ):
        if row["image_id"] in stay:
            holders[row["image_id"]].append((number, row))
    known = {name: {said(row["caption"]) for _, row in held} for name, held in holders.items()}
    found: dict[int, list[AlsoCaption]] = {}
    for keeper, copy in zip(keepers, rows.of(columns, copied).to_pylist(), strict=True):
        words = said(copy["caption"])
        held = holders.get(keeper, ())
        fitting = [number for number, row in held if row["license"] == copy["license"]]
        if words is None or not fitting or words in known[keeper]:
            continue
        known[keeper].add(words)
        text: AlsoCaption = {"sample_id": copy["sample_id"], "caption": copy["caption"]}
        found.setdefault(fitting[0], []).append(text)
    return found
