"""Samples to tar shards: deterministic bytes, an index beside each tar, the manifest last.

A shard appears whole or not at all. The manifest is the commit mark: shards without one are an
unfinished run. It carries the hash of every other file of the folder and of itself.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import json
import re
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from miner.core.layout import MANIFEST
from miner.core.store import Store
from shards.config import ShardsConfig
from shards.sample import ABSENT, IMAGE_FORMATS, KEY, UNKNOWN, concepts_in, dump
from shards.tar import BLOCK, END, header, padding

FOLDER = "shards"
FORMAT = 2  # of the manifest and of all that it lists; 1 had no `concepts`
SINCE_2 = ("exhaustive", "absent", "unknown", "slide", "generated")  # columns of the index
EXTENSION = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)*")
_CHUNK = 1 << 20  # bytes handed to the hash and the file at once
_QUEUE = 8  # such pieces that may wait for the disk

MEMBER = pa.struct(
    [
        ("name", pa.string()),  # extension
        ("offset", pa.int64()),  # of its first byte in the tar
        ("size", pa.int64()),  # bytes
        ("crc32", pa.uint32()),  # of those bytes
    ]
)

INDEX = pa.schema(
    [
        ("key", pa.string()),  # sample_id, also the name of the members
        ("corpus", pa.string()),  # its name
        ("row", pa.int64()),  # row number in the publisher's table, from 0
        ("image", pa.string()),  # name as published
        ("group", pa.string()),  # what never straddles a split
        ("license", pa.string()),  # of picture and caption
        ("format", pa.string()),  # jpg | png
        ("width", pa.int32()),  # px
        ("height", pa.int32()),  # px
        ("mpp", pa.float64()),  # um per pixel, null when unknown
        ("image_offset", pa.int64()),  # of the first byte of the picture in the tar
        ("image_size", pa.int64()),  # bytes
        ("image_crc32", pa.uint32()),  # of those bytes
        ("json_offset", pa.int64()),  # of the first byte of the grounded sample in the tar
        ("json_size", pa.int64()),  # bytes
        ("json_crc32", pa.uint32()),  # of those bytes
        ("members", pa.list_(MEMBER)),  # side files that ride along
        ("concepts", pa.list_(pa.string())),  # of the regions, in their order
        ("scores", pa.list_(pa.float64())),  # probability to be right, of the regions
        ("q_values", pa.list_(pa.float64())),  # of the regions
        ("areas_px", pa.list_(pa.int64())),  # of the regions
        ("segmenters", pa.list_(pa.string())),  # of the regions
        ("strata", pa.list_(pa.string())),  # such as organ=kidney
        ("negatives", pa.list_(pa.string())),  # concepts that are not in the picture
        ("mentions", pa.int32()),  # how many
        ("exhaustive", pa.list_(pa.float64())),  # probability to be all of it, of the regions
        ("absent", pa.list_(pa.string())),  # concepts that are confirmed to be absent
        ("unknown", pa.list_(pa.string())),  # concepts of which nobody knows
        ("slide", pa.string()),  # that the picture lies on, null when unknown
        ("generated", pa.bool_()),  # whether some of the caption was composed, published by nobody
    ]
)

Item = (
    tuple[Mapping[str, Any], bytes, str] | tuple[Mapping[str, Any], bytes, str, Mapping[str, bytes]]
)


@dataclasses.dataclass(frozen=True)
class ShardInfo:
    """One finished shard, as the manifest lists it."""

    name: str  # train-000000.tar
    split: str
    sha256: str
    bytes: int
    samples: int
    regions: int
    index_sha256: str
    index_bytes: int

    @property
    def index(self) -> str:
        """Name of the index in the store."""
        return index_name(self.name)


def index_name(tar: str) -> str:
    """Name in the store of the index of a tar."""
    return f"{FOLDER}/{tar.removesuffix('.tar')}.parquet"


def read_parquet(store: Store, name: str, columns: list[str] | None = None) -> pa.Table:
    """Read a small parquet file whole; spares the import of Arrow's data set engine."""
    return pq.ParquetFile(io.BytesIO(store.read(name))).read(columns)


def pack(
    samples: Iterable[Item], store: Store, split: str, config: ShardsConfig
) -> list[ShardInfo]:
    """Write `shards/{split}-{000000}.tar` and `.parquet`, streaming.

    Args:
        samples: (sample, publisher's image bytes, "jpg" or "png"), and optionally a dict of side
            files by extension; written in this order.
        store: OUT.
        split: name of the split.
        config: target size of a tar.

    Raises:
        ValueError: a key with a dot, twice the same key in a shard, an empty image, ...
    """
    source = iter(samples)
    done: list[Future[ShardInfo]] = []
    pending = next(source, None)
    with _Background() as background:
        while pending is not None:
            shard = _Shard(store, f"{split}-{len(done):06d}.tar", split)
            background.opened = shard
            while pending is not None and shard.fits(pending, config.max_bytes):
                shard.add(pending)
                if shard.held >= _CHUNK:
                    background.do(shard.write, shard.take())
                pending = next(source, None)
            background.do(shard.write, shard.take(END))
            done.append(background.do(shard.finish))
        return [future.result() for future in done]


def pack_tar(samples: Iterable[Item], store: Store, name: str, split: str) -> ShardInfo:
    """Write one tar and its index, whatever their size.

    Args:
        samples: see `pack`; at least one.
        store: OUT.
        name: of the tar, such as `train-000000.tar`.
        split: name of the split.

    Raises:
        ValueError: as `pack`.
    """
    with _Background() as background:
        shard = background.opened = _Shard(store, name, split)
        for item in samples:
            shard.add(item)
            if shard.held >= _CHUNK:
                background.do(shard.write, shard.take())
        background.do(shard.write, shard.take(END))
        return background.do(shard.finish).result()


def write_manifest(store: Store, infos: Iterable[ShardInfo], run: str = "") -> None:
    """Write `shards/manifest.json`, the commit mark; call it last.

    Args:
        store: OUT.
        infos: all shards of all splits.
        run: hash of the configuration that the shards belong to.

    Raises:
        ValueError: a key is in two shards.
    """
    shards = sorted((dataclasses.asdict(i) for i in infos), key=lambda s: s["name"])
    _need_distinct_keys(store, [s["name"] for s in shards])
    expected = {f"{FOLDER}/{s['name']}" for s in shards} | {index_name(s["name"]) for s in shards}
    for name in store.names(FOLDER):
        if re.search(r"-\d{6}\.(tar|parquet)$", name) and name not in expected:
            store.remove(name)  # left over from a run that packed more shards
    others = [n for n in store.names(FOLDER) if n not in expected and n != MANIFEST]
    manifest = {
        "format": FORMAT,
        "run": run,
        "shards": shards,
        "files": {
            n.removeprefix(f"{FOLDER}/"): hashlib.sha256(store.read(n)).hexdigest() for n in others
        },
        "samples": sum(s["samples"] for s in shards),
        "regions": sum(s["regions"] for s in shards),
    }
    store.write(MANIFEST, manifest_bytes(manifest))


def manifest_bytes(manifest: Mapping[str, Any]) -> bytes:
    """Canonical bytes of a manifest, with the hash of the rest of it in `sha256`."""
    rest = {k: v for k, v in manifest.items() if k != "sha256"}
    digest = hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()
    return json.dumps({**rest, "sha256": digest}, indent=2, sort_keys=True).encode() + b"\n"


class _Background:
    """One thread that hashes, writes and syncs while the next samples are made, in order."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1)
        self._queue: deque[Future[Any]] = deque()
        self.opened: _Shard | None = None

    def __enter__(self) -> _Background:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: Any) -> None:
        self._pool.shutdown(wait=True, cancel_futures=kind is not None)
        if kind is not None and self.opened is not None:
            self.opened.abort()

    def do(self, task: Callable[..., Any], *args: Any) -> Future[Any]:
        """Queue a task; waits while many are queued, and raises what an earlier one raised."""
        while len(self._queue) >= _QUEUE or (self._queue and self._queue[0].done()):
            self._queue.popleft().result()
        future = self._pool.submit(task, *args)
        self._queue.append(future)
        return future


class _Shard:
    """One tar on its way to disk: hash, offsets and index rows so far.

    `add`, `take` and `fits` belong to the thread that makes samples, the others to the background.
    """

    def __init__(self, store: Store, name: str, split: str):
        self._store = store
        self._name = name
        self._split = split
        self._stack = contextlib.ExitStack()
        self._file = self._stack.enter_context(store.writer(f"{FOLDER}/{name}"))
        self._hash = hashlib.sha256()
        self._parts: list[bytes] = []
        self.held = 0
        self._offset = 0
        self._regions = 0
        self._keys: set[str] = set()
        self._rows: list[dict[str, Any]] = []

    def fits(self, item: Item, max_bytes: int) -> bool:
        """Whether one more sample stays below the target; the first always does."""
        return not self._rows or self._offset + len(item[1]) <= max_bytes

    def add(self, item: Item) -> None:
        """Queue the members of a sample and its index row."""
        sample, image, extension = item[:3]
        sides = item[3] if len(item) == 4 else {}
        key = sample["key"]
        _check(key, image, extension, sides, self._keys, sample["split"], self._split)
        self._keys.add(key)
        text = dump(sample)
        row = _index_row(sample, extension)
        row["image_offset"], row["image_crc32"] = self._member(f"{key}.{extension}", image)
        row["json_offset"], row["json_crc32"] = self._member(f"{key}.json", text)
        row["image_size"], row["json_size"] = len(image), len(text)
        row["members"] = [
            {"name": name, "size": len(sides[name]), "offset": at, "crc32": crc}
            for name in sorted(sides)
            for at, crc in [self._member(f"{key}.{name}", sides[name])]
        ]
        self._rows.append(row)
        self._regions += len(sample["regions"])

    def take(self, *last: bytes) -> list[bytes]:
        """What is queued, with a last part, to be written."""
        parts, self._parts, self.held = [*self._parts, *last], [], 0
        self._offset += sum(len(part) for part in last)
        return parts

    def write(self, parts: list[bytes]) -> None:
        """Hash and write."""
        chunk = b"".join(parts)  # a third faster than part by part
        self._hash.update(chunk)
        self._file.write(chunk)

    def finish(self) -> ShardInfo:
        """Sync and rename the tar, then its index."""
        try:
            buffer = io.BytesIO()
            table = pa.Table.from_pylist(self._rows, INDEX)
            pq.write_table(table, buffer, compression="zstd", store_schema=False)
            index = buffer.getvalue()
        except BaseException:
            self.abort()
            raise
        self._stack.close()
        self._store.write(index_name(self._name), index)
        return ShardInfo(
            name=self._name,
            split=self._split,
            sha256=self._hash.hexdigest(),
            bytes=self._offset,
            samples=len(self._rows),
            regions=self._regions,
            index_sha256=hashlib.sha256(index).hexdigest(),
            index_bytes=len(index),
        )

    def abort(self) -> None:
        """Leave nothing of an unfinished tar."""
        with contextlib.suppress(_Abandoned):
            self._stack.__exit__(_Abandoned, _Abandoned(), None)

    def _member(self, name: str, data: bytes) -> tuple[int, int]:
        """Queue a member; returns the offset of its data and their checksum."""
        head, tail = header(name, len(data)), padding(len(data))
        self._parts += (head, data, tail)
        at = self._offset + BLOCK
        size = BLOCK + len(data) + len(tail)
        self._offset += size
        self.held += size
        return at, zlib.crc32(data)


class _Abandoned(Exception):
    """Tells the file that its writer gave up."""


def _check(
    key: str,
    image: bytes,
    extension: str,
    sides: Mapping[str, bytes],
    keys: set[str],
    split: str,
    expected_split: str,
) -> None:
    if not KEY.fullmatch(key):
        raise ValueError(f"key {key!r}: letters, digits, - and _ only, at most 90")
    if key in keys:
        raise ValueError(f"key {key}: twice in a shard")
    if extension not in IMAGE_FORMATS or not image:
        raise ValueError(f"key {key}: needs jpg or png bytes, got {len(image)} of {extension!r}")
    if split != expected_split:
        raise ValueError(f"key {key}: split {split!r} in a shard of {expected_split!r}")
    for name, data in sides.items():
        if not EXTENSION.fullmatch(name) or name in (*IMAGE_FORMATS, "json") or not data:
            raise ValueError(f"key {key}: side file {name!r} of {len(data)} bytes")


def _index_row(sample: Mapping[str, Any], extension: str) -> dict[str, Any]:
    regions = sample["regions"]
    return {
        **{n: sample[n] for n in ("key", "corpus", "row", "image", "group", "license")},
        **{n: sample[n] for n in ("width", "height", "mpp", "strata")},
        "format": extension,
        "concepts": [r["concept"] for r in regions],
        "scores": [r["score"] for r in regions],
        "q_values": [r["q_value"] for r in regions],
        "areas_px": [r["area_px"] for r in regions],
        "segmenters": [r["segmenter"] for r in regions],
        "negatives": sorted({n["concept"] for n in sample["negatives"]}),
        "mentions": len(sample["mentions"]),
        "exhaustive": [r["exhaustive"] for r in regions],
        "absent": concepts_in(sample, ABSENT),
        "unknown": concepts_in(sample, UNKNOWN),
        "slide": sample["slide"]["id"] if sample["slide"] else None,
        "generated": sample["generated"],
    }


def _need_distinct_keys(store: Store, names: Iterable[str]) -> None:
    def keys() -> Iterator[pa.ChunkedArray]:
        for name in names:
            yield read_parquet(store, index_name(name), ["key"])["key"]

    chunks = [c for column in keys() for c in column.chunks]
    if chunks:
        counts = pa.chunked_array(chunks).value_counts()
        twice = [c["values"].as_py() for c in counts if c["counts"].as_py() > 1]
        if twice:
            raise ValueError(f"{len(twice)} keys are in two shards, first {twice[0]}")
