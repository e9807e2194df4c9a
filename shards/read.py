"""Bytes of members at their offsets, from a local disk or through fsspec with a local cache."""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Sequence
from typing import Any

from miner.core.store import Store
from shards.index import Damaged
from shards.pack import FOLDER


class ShardReader:
    """Reads byte ranges of the tars of one OUT; may be pickled and forked.

    Args:
        store: OUT.
        shards: the manifest's entries, by number of the shard.
        cache: local folder that keeps whole tars of a remote OUT, None reads ranges remotely.
    """

    def __init__(self, store: Store, shards: Sequence[dict[str, Any]], cache: str | None = None):
        self._store = store
        self._shards = list(shards)
        self._cache = cache
        self._files: dict[int, int] = {}
        self._pid = os.getpid()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_files": {}}

    def name(self, shard: int) -> str:
        """Name of a tar in OUT."""
        return f"{FOLDER}/{self._shards[shard]['name']}"

    def read(self, shard: int, offset: int, size: int, crc32: int | None = None) -> bytes:
        """Bytes of one member.

        Args:
            shard: number of the shard.
            offset: of the member's first byte in the tar.
            size: of the member in bytes.
            crc32: checksum of the index, None skips the check.

        Raises:
            Damaged: the tar is missing, too short, or was changed.
        """
        name = self.name(shard)
        if self._store.local or self._cache:
            if self._pid != os.getpid():  # a fork shares no descriptors with its parent
                self._files, self._pid = {}, os.getpid()
            if shard not in self._files:
                self._files[shard] = self._open(shard, name)
            data = os.pread(self._files[shard], size, offset)
        else:
            try:
                path = self._store.path(name)
                data = self._store.fs.cat_file(path, start=offset, end=offset + size)
            except FileNotFoundError:
                raise Damaged(f"{name}: missing, the manifest lists it") from None
        if len(data) != size:
            raise Damaged(f"{name}: ends at a member that starts at byte {offset}: truncated")
        if crc32 is not None and zlib.crc32(data) != crc32:
            raise Damaged(f"{name}: member at byte {offset} is not what the index says: changed")
        return data

    def _open(self, shard: int, name: str) -> int:
        entry = self._shards[shard]
        path = self._store.path(name)
        if not self._store.local and self._cache:
            path = self._fetch(entry, path)
        try:
            file = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            raise Damaged(f"{name}: missing, the manifest lists it") from None
        size = os.fstat(file).st_size
        if size != entry["bytes"]:
            os.close(file)
            raise Damaged(f"{name}: {size} bytes, the manifest says {entry['bytes']}")
        return file

    def _fetch(self, entry: dict[str, Any], path: str) -> str:
        """Local copy of a remote tar, named by its hash, so that a stale one is never used."""
        assert self._cache is not None
        os.makedirs(self._cache, exist_ok=True)
        local = os.path.join(self._cache, f"{entry['sha256']}.tar")
        if os.path.exists(local) and os.path.getsize(local) == entry["bytes"]:
            return local
        temporary = f"{local}.tmp-{os.getpid()}"
        try:
            self._store.fs.get_file(path, temporary)
            with open(temporary, "rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            if digest != entry["sha256"]:
                raise Damaged(f"{entry['name']}: downloaded bytes do not fit the manifest")
            os.replace(temporary, local)
        except FileNotFoundError:
            raise Damaged(f"{entry['name']}: missing, the manifest lists it") from None
        finally:
            if os.path.exists(temporary):
                os.unlink(temporary)
        return local
