"""A folder of the publisher's files, on a local disk or behind any fsspec URL."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from typing import IO, Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from miner.core.errors import Refused
from miner.core.names import hidden
from miner.core.regular import open_regular, read_regular
from miner.core.remote import reached


class Folder:
    """Read access to what lies under `url`; names are relative, with `/`.

    Args:
        url: local path or fsspec URL.
        field: configuration field it came from, for messages.
        home: local folder that links of its files must not lead out of; the folder itself when
            empty.

    Raises:
        Refused: the URL's scheme is unknown or its driver is not installed.
    """

    def __init__(self, url: str, field: str = "path", home: str = ""):
        self.url = url
        self.field = field
        try:
            self.fs, root = fsspec.core.url_to_fs(url)
        except (ValueError, ImportError) as error:
            raise Refused(f"{field}: {url}: {error}") from None
        self.root = root.rstrip("/")
        self.local = isinstance(self.fs, LocalFileSystem)
        self.home = home or self.root

    def path(self, name: str = "") -> str:
        """Full path as the file system spells it."""
        return f"{self.root}/{name}" if name else self.root

    def below(self, path: str) -> str | None:
        """Name in the folder of an absolute path or URL below it, None for any other."""
        homes = {self.root, self.url.rstrip("/")}
        if self.local:
            homes.add(os.path.realpath(self.root))
        found = [path[len(home) + 1 :] for home in homes if home and path.startswith(f"{home}/")]
        return min(found, key=len) if found else None

    def isdir(self, name: str = "") -> bool:
        """Whether `name` is a folder."""
        return self.fs.isdir(self.path(name))

    def isfile(self, name: str = "") -> bool:
        """Whether `name` is a file."""
        if self.local:
            return os.path.isfile(self.path(name))
        return self.fs.isfile(self.path(name))

    def entries(self, name: str = "") -> list[tuple[str, bool]]:
        """Sorted (name, is a folder) of what lies directly in folder `name`, but hidden ones."""
        base = self.path(name)
        if self.local:
            try:
                with os.scandir(base) as scan:
                    found = [(e.name, e.is_dir()) for e in scan]
            except OSError:
                return []
        else:
            try:
                infos = self.fs.ls(base, detail=True)
            except FileNotFoundError:
                return []
            found = [
                (i["name"].rstrip("/").rsplit("/", 1)[-1], i["type"] == "directory")
                for i in infos
                if i["name"].rstrip("/") != base
            ]
        prefix = f"{name}/" if name else ""
        return sorted((prefix + n, is_dir) for n, is_dir in found if not hidden(n))

    def walk(self, name: str = "") -> Iterator[str]:
        """Names of all files below folder `name`, sorted; loops of links are entered once."""
        seen = set()
        stack = [name]
        while stack:
            folder = stack.pop()
            if self.local:
                stat = os.stat(self.path(folder))
                if (stat.st_dev, stat.st_ino) in seen:
                    continue
                seen.add((stat.st_dev, stat.st_ino))
            entries = self.entries(folder)
            yield from (n for n, is_dir in entries if not is_dir)
            stack.extend(n for n, is_dir in reversed(entries) if is_dir)

    def open(self, name: str = "") -> IO[bytes]:
        """Open a file for reading, seekable and buffered."""
        if self.local:
            return open_regular(self.path(name))
        file: Any = self.fs.open(self.path(name), "rb")
        return io.BufferedReader(file, buffer_size=1 << 20)

    def read(self, name: str = "") -> bytes:
        """Read a whole file.

        Raises:
            OSError: it is not there or cannot be read, is no regular file or far too large, or a
                link that leads out of the folder.
        """
        if self.local:
            return read_regular(self.path(name), self.home)
        return self.fs.cat_file(self.path(name))

    def fingerprint(self, name: str = "") -> list[Any]:
        """Size and a token that changes with the content: what tells whether a plan still fits."""
        if self.local:
            stat = os.stat(self.path(name))
            return [stat.st_size, stat.st_mtime_ns]
        info = self.fs.info(self.path(name))
        token = next(
            (info[k] for k in ("ETag", "etag", "LastModified", "mtime", "created") if info.get(k)),
            "",
        )
        return [info["size"], str(token)]

    def sub(self, name: str, field: str = "") -> Folder:
        """Another place: a relative name is looked for here first, then where the run started."""
        if "://" in name or os.path.isabs(name):
            return Folder(name, field or self.field)
        here = self.url.rstrip("/") + "/" + name
        folder = Folder(here, field or self.field, self.home)
        if folder.isdir() or folder.isfile():
            return folder
        elsewhere = Folder(name, field or self.field)
        return elsewhere if elsewhere.isdir() or elsewhere.isfile() else folder


def corpus_folder(path: str, name: str) -> tuple[Folder, str]:
    """The folder of a corpus, and the table's name when `path` is a file.

    Raises:
        Refused: nothing is there, or its store cannot be reached.
    """
    folder = Folder(path, f"corpora.{name}.path")
    with reached(f"{folder.field}: {path}"):
        is_folder = folder.isdir()
        is_file = not is_folder and folder.isfile()
    if is_folder:
        return folder, ""
    if is_file:
        parent, _, file = path.rstrip("/").rpartition("/")
        return Folder(parent or ".", folder.field), file
    raise Refused(f"corpora.{name}.path: {path}: no such file or folder")
