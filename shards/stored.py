"""Every sample of an OUT in the order of its shards, checked before anybody uses it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from miner.core.store import Store
from shards.index import read_index
from shards.read import ShardReader
from shards.sample import GroundedSample
from shards.trust import sound_sample

PARTS = ("json", "image")
PLACE = ("offset", "size", "crc32")  # of a member, in the index
COLUMNS = ["key", "format", "members", *(f"{part}_{n}" for part in PARTS for n in PLACE)]
BATCH = 4096  # rows of the index that are Python objects at a time


@dataclasses.dataclass(frozen=True)
class StoredSample:
    """A sample that stands in a shard.

    Attributes:
        value: what its JSON says.
        format: of its picture, jpg or png.
        split: of its shard.
        shard: entry of its tar in the manifest.
        row: of the index: where its members lie.
    """

    value: GroundedSample
    format: str
    split: str
    shard: Mapping[str, Any]
    row: Mapping[str, Any]
    _reader: ShardReader

    def image(self) -> bytes:
        """Bytes of its picture; raises `Damaged`."""
        return _member(self._reader, self.row, "image")

    def sides(self) -> dict[str, bytes]:
        """Bytes of its side files by extension; raises `Damaged`."""
        return {
            m["name"]: self._reader.read(self.row["shard"], *(m[n] for n in PLACE))
            for m in self.row["members"]
        }


def stored(store: Store, split: str | None = None) -> Iterator[StoredSample]:
    """Samples of a split, or of all.

    Raises:
        Damaged: a file is missing, changed, or not what packing writes.
        Refused: there are no shards, or no such split.
    """
    index, shards = read_index(store, split, COLUMNS)
    reader = ShardReader(store, shards)
    for batch in index.to_batches(max_chunksize=BATCH):
        for row in batch.to_pylist():
            shard = shards[row["shard"]]
            text = _member(reader, row, "json")
            value = sound_sample(text, row["key"], shard["split"])
            yield StoredSample(value, row["format"], shard["split"], shard, row, reader)


def _member(reader: ShardReader, row: Mapping[str, Any], part: str) -> bytes:
    return reader.read(row["shard"], *(row[f"{part}_{n}"] for n in PLACE))
