"""Files of OUT: whole or not there, on a local disk or behind any fsspec URL."""

from __future__ import annotations

import contextlib
import io
import json
import os
import uuid
from collections.abc import Iterator, Sequence
from typing import IO, Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.implementations.local import LocalFileSystem

from miner.core.errors import Refused
from miner.core.remote import OBJECTS, listed, reached
from miner.core.shapes import odd


class DamagedFile(Refused, ValueError):
    """A file that is not what its name says: no JSON, no whole parquet file.

    Attributes:
        why: what is wrong with it, without its name.
    """

    def __init__(self, path: str, why: str):
        super().__init__(f"{path}: {why}; bring it back from a copy, or mine into another OUT")
        self.path, self.why = path, why

    def __reduce__(self) -> tuple[type[DamagedFile], tuple[str, str]]:
        return DamagedFile, (self.path, self.why)


class Store:
    """A folder whose files appear whole or not at all.

    Local files are written under a temporary name, synced and renamed. Object stores publish an
    object only when its upload ends, so there no rename is needed.

    Args:
        url: local path or fsspec URL (`s3://bucket/out`, `memory://out`).
    """

    def __init__(self, url: str | os.PathLike[str]):
        self.url = os.fspath(url)
        self.fs, self.root = fsspec.core.url_to_fs(self.url)
        self.local = isinstance(self.fs, LocalFileSystem)
        schemes = self.fs.protocol
        named = {schemes} if isinstance(schemes, str) else set(schemes)
        self._objects = not named.isdisjoint(OBJECTS)

    def __reduce__(self) -> tuple[type[Store], tuple[str]]:
        return Store, (self.url,)

    def path(self, name: str) -> str:
        """Full path of a file as its file system spells it."""
        return f"{self.root.rstrip('/')}/{name}"

    def shown(self, name: str) -> str:
        """A file as people are told of it: with the scheme of its store."""
        return self.path(name) if self.local else f"{self.url.rstrip('/')}/{name}"

    def reach(self) -> None:
        """Find out whether the store answers and has such a bucket; nothing is written.

        Raises:
            Refused: the store does not answer, lets nobody in, or has no such bucket.
        """
        if self.local:
            return
        with reached(self.url):
            try:
                listed(self.fs, self.root)
            except FileNotFoundError:
                bucket = self.root.partition("/")[0]
                if self._objects and not self.fs.exists(bucket):
                    raise Refused(f"{self.url}: there is no bucket {bucket}") from None
            except NotADirectoryError:
                return

    def _make_home(self, path: str) -> None:
        """Make the folder of a file; stores of objects have none and would make its bucket."""
        if not self._objects:
            self.fs.makedirs(path.rsplit("/", 1)[0], exist_ok=True)

    def below(self, folder: str) -> Store:
        """A folder of this store as a store."""
        return Store(f"{self.url.rstrip('/')}/{folder}")

    def move(self, name: str, to: str) -> None:
        """Give a file another name; one that is there of that name goes."""
        source, target = self.path(name), self.path(to)
        self._make_home(target)
        if self.local:
            os.replace(source, target)
        else:
            self.fs.mv(source, target)

    def exists(self, name: str) -> bool:
        """Whether the file is there, whole."""
        return self.fs.exists(self.path(name))

    def names(self, folder: str, suffix: str = "") -> list[str]:
        """Sorted names, relative to the store, of the files directly in `folder`."""
        if not self.fs.isdir(self.path(folder)):
            return []
        if self.local:  # without a look at every single file
            paths = os.listdir(self.path(folder))
        else:
            self.fs.invalidate_cache(self.path(folder))
            paths = self.fs.ls(self.path(folder), detail=False)
        found = (path.rstrip("/").rsplit("/", 1)[-1] for path in paths)
        return sorted(f"{folder}/{n}" for n in found if n.endswith(suffix) and ".tmp-" not in n)

    @contextlib.contextmanager
    def writer(self, name: str) -> Iterator[IO[bytes]]:
        """Binary file that appears under `name` when the block ends, and never if it raises."""
        path = self.path(name)
        self._make_home(path)
        if not self.local:
            buffer = io.BytesIO()
            yield buffer
            self.fs.pipe_file(path, buffer.getvalue())
            return
        temporary = f"{path}.tmp-{uuid.uuid4().hex[:8]}"
        try:
            with open(temporary, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException as error:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
            if isinstance(error, OSError) and error.errno and not error.filename:
                error.filename = path  # a full disk does not say which file
            raise

    def write(self, name: str, data: bytes) -> None:
        """Write a whole file."""
        with self.writer(name) as file:
            file.write(data)

    def create(self, name: str, data: bytes) -> bool:
        """Write a whole file unless there is one; of several who try at once, one succeeds."""
        path = self.path(name)
        self._make_home(path)
        try:
            if not self.local:
                self.fs.pipe_file(path, data, mode="create")
                return True
            temporary = f"{name}.tmp-{uuid.uuid4().hex[:8]}"
            self.write(temporary, data)
            try:
                os.link(self.path(temporary), path)
            finally:
                self.remove(temporary)
        except FileExistsError:
            return False
        return True

    def read_many(self, names: Sequence[str]) -> list[bytes]:
        """Read whole files, at once where the store can."""
        found = self.fs.cat([self.path(name) for name in names]) if names else {}
        return [found[self.path(name)] for name in names]

    def read(self, name: str) -> bytes:
        """Read a whole file."""
        if not self.local:
            return self.fs.cat_file(self.path(name))
        with open(self.path(name), "rb") as file:
            return file.read()

    def write_json(self, name: str, value: Any) -> None:
        """Write JSON: sorted keys, two spaces, UTF-8."""
        text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False)
        self.write(name, text.encode() + b"\n")

    def read_json(self, name: str, needs: Sequence[str] = ()) -> Any:
        """Read an object of JSON.

        Args:
            name: of the file.
            needs: keys that it must have.

        Raises:
            DamagedFile: it is none, or not what a file of this name holds (`miner.core.shapes`).
        """
        data = self.read(name)
        try:
            value = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise DamagedFile(self.shown(name), f"not JSON: {error}") from None
        if why := odd(name, value, needs):
            raise DamagedFile(self.shown(name), why)
        return value

    def write_table(self, name: str, table: pa.Table) -> None:
        """Write a parquet file (zstd), each page with a sum that reading compares."""
        with self.writer(name) as file:
            pq.write_table(table, file, compression="zstd", write_page_checksum=True)

    def read_table(self, name: str, columns: list[str] | None = None) -> pa.Table:
        """Read a parquet file, or some of its columns; raises `DamagedFile`."""
        with self._parquet(name):
            return pq.read_table(
                self.path(name),
                columns=columns,
                filesystem=self.fs,
                page_checksum_verification=True,
            )

    def read_schema(self, name: str) -> pa.Schema:
        """Columns of a parquet file; raises `DamagedFile`."""
        with self._parquet(name):
            return pq.read_schema(self.path(name), filesystem=self.fs)

    @contextlib.contextmanager
    def _parquet(self, name: str) -> Iterator[None]:
        """Turns what Arrow raises on damage into `DamagedFile`."""
        try:
            yield
        except MemoryError:
            raise
        except (pa.ArrowException, OSError) as error:
            if isinstance(error, OSError) and (type(error) is not OSError or error.errno):
                raise  # the disk's or the server's; what Arrow cannot decode has no number
            why = f"not readable as parquet: {(str(error) or repr(error)).splitlines()[0]}"
            raise DamagedFile(self.shown(name), why) from None

    def sweep(self) -> None:
        """Remove what killed processes left half-written; nobody else may be writing."""
        if self.local:
            for folder, _, names in os.walk(self.root):
                for name in names:
                    if ".tmp-" in name:
                        os.unlink(os.path.join(folder, name))

    def remove(self, name: str) -> None:
        """Remove a file or folder; nothing happens when it is not there."""
        with contextlib.suppress(FileNotFoundError):
            self.fs.rm(self.path(name), recursive=True)
