"""Where pictures lie: folders and zips, asked by file name."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from miner.core.errors import Refused
from miner.core.names import base, hidden, plain, spellings
from miner.core.regular import MAX_FILE_BYTES, LeadsOut
from miner.core.store import Store
from miner.corpora import archive
from miner.corpora.config import OUTSIDE
from miner.corpora.corpus_folder import Folder
from miner.corpora.rows import hash64


class Locations:
    """Folders and zips that are searched for pictures: folders, zips, then folders one deeper.

    Publishers' zips unpack one folder deep; those folders are listed when a name is missed for the
    first time, since listing takes long where a picture is an object in a bucket.

    Args:
        root: the corpus's folder.
        paths: configured places; empty discovers them.
        names: folders looked for when discovering; "" is the root itself.
        field: configuration field, for messages.
        key: prefix of the stored indexes (`plan/{corpus}`).
        relative: names may have folders, as in `sub/a.png`; zips go by base name all the same.

    Raises:
        Refused: a configured place is not there.
    """

    def __init__(
        self,
        root: Folder,
        paths: Sequence[str],
        names: Sequence[str],
        field: str,
        key: str,
        relative: bool = False,
    ):
        self.field = field
        self.key = key
        self.relative = relative
        self.folders: list[Folder] = []
        self.zips: list[Folder] = []
        for place in [root.sub(p, field) for p in paths] if paths else _discover(root, names):
            if place.isfile():
                self.zips.append(place)
            elif place.isdir():
                self.folders.append(place)
            else:
                raise Refused(f"{field}: {place.url}: no such folder or zip")
        self._nested: list[Folder] | None = None
        self._archives: list[archive.Archive] | None = None

    def prepare(self, store: Store) -> None:
        """Index the zips, unless an index of the same file is stored, and sound."""
        for at, place in enumerate(self.zips):
            print_, name = place.fingerprint(), f"{self.key}/zip-{at:02d}"
            if store.exists(mark := f"{name}.json") and store.exists(f"{name}.npy"):
                have = store.read_json(mark)
                same = have["fingerprint"] == print_
                if same and have.get("sha256") == _sum(store, f"{name}.npy"):
                    continue
            index = archive.build_index(place, self.field)
            archive.save_index(store, f"{name}.npy", index)
            said = {"fingerprint": print_, "members": len(index)}
            store.write_json(mark, {**said, "sha256": _sum(store, f"{name}.npy")})

    def own(self, name: str) -> str:
        """A path or URL below one of the folders as a name in it; any other name stays."""
        path = plain(name)
        if not (path.startswith("/") or "://" in path):
            return name
        found = [inside for f in self.folders if (inside := f.below(path)) is not None]
        return min(found, key=len) if found else name

    def nested(self) -> list[Folder]:
        """Subfolders of the folders, one deep."""
        if self._nested is None:
            known = {f.path() for f in self.folders}
            inner = [
                Folder(f.url.rstrip("/") + "/" + name, self.field, f.home)
                for f in self.folders
                for name in _subfolders(f)
            ]
            self._nested = [f for f in inner if f.path() not in known]
        return self._nested

    def archives(self, store: Store) -> list[archive.Archive]:
        """The zips, opened through their stored indexes."""
        if self._archives is None:
            self._archives = [
                archive.Archive(z, archive.load_index(store, f"{self.key}/zip-{at:02d}.npy"))
                for at, z in enumerate(self.zips)
            ]
        return self._archives

    def names(self) -> Iterator[str]:
        """Names of all files in the folders (one deep) and zips, some maybe twice."""
        for folder in [*self.folders, *self.nested()]:
            yield from (n for n, is_dir in folder.entries() if not is_dir)
            if self.relative:
                yield from folder.walk()
        for place in self.zips:
            yield from (base(name) for _, name in archive.members_in(place, self.field))

    def lacking(self, images: np.ndarray, named: Callable[[str], int] = hash64) -> np.ndarray:
        """Which pictures no file is there for.

        Args:
            images: uint64 (n,), `Entry.image`.
            named: from the name of a file to the `Entry.image` that it would be of.

        Returns:
            bool (n,).
        """
        have = np.array([named(name) for name in self.names()], np.uint64)
        return ~np.isin(images, have)

    def read(self, names: Iterable[str], store: Store) -> dict[str, bytes | str]:
        """Pictures by name: their bytes, or as text the reason why not.

        Reasons: `missing_image`, `unreadable_file`, `outside_folder`, `bad_name` and those of
        `miner.corpora.archive.Archive.read`.
        """
        result: dict[str, bytes | str] = {}
        wanted = []
        for name in dict.fromkeys(names):
            parts = plain(name).split("/")
            if self.relative and (parts[0] == "" != name or "://" in name):
                result[name] = OUTSIDE
            elif "\0" in name or {"", ".", ".."} & set(parts) or (parts[1:] and not self.relative):
                result[name] = "bad_name"
            else:
                wanted.append(name)
        _from_folders(self.folders, wanted, result)
        for zipped in self.archives(store):
            for name in wanted:
                if name not in result:
                    try:
                        data = zipped.read(base(name), MAX_FILE_BYTES)
                    except archive.BadMember as error:
                        result[name] = str(error)
                    else:
                        if data is not None:
                            result[name] = data
        if any(name not in result for name in wanted):
            _from_folders(self.nested(), wanted, result)
        return {n: result.get(n, "missing_image") for n in [*result, *wanted]}


def _sum(store: Store, name: str) -> str:
    return hashlib.sha256(store.read(name)).hexdigest()


def _discover(root: Folder, names: Sequence[str]) -> list[Folder]:
    entries = root.entries()
    folders = {n for n, is_dir in entries if is_dir}
    found = [root.sub(n) if n else root for n in names if n in folders or not n]
    zips = [n for n, is_dir in entries if not is_dir and n.lower().endswith(".zip")]
    return found + [Folder(root.url.rstrip("/") + "/" + n, root.field) for n in zips]


def _from_folders(
    folders: Sequence[Folder], wanted: Sequence[str], result: dict[str, bytes | str]
) -> None:
    spelled = [spellings(name) for name in wanted]
    for folder in folders:
        read = _read_local if folder.local else _read_far
        for way in range(max(map(len, spelled), default=0)):
            left = {s[way]: s[0] for s in spelled if s[0] not in result and len(s) > way}
            result.update((left[name], data) for name, data in read(folder, [*left]).items())


def _subfolders(folder: Folder) -> list[str]:
    """Subfolders of a folder, without listing hundreds of thousands of files into memory."""
    if not folder.local:
        return [name for name, is_dir in folder.entries() if is_dir]
    with os.scandir(folder.path()) as scan:
        return sorted(e.name for e in scan if e.is_dir() and not hidden(e.name))


def _read_local(folder: Folder, names: list[str]) -> dict[str, bytes | str]:
    result: dict[str, bytes | str] = {}
    for name in names:
        try:
            result[name] = folder.read(name)
        except FileNotFoundError:
            continue
        except LeadsOut:
            result[name] = OUTSIDE
        except (OSError, ValueError) as error:
            # A name too long for the file system is a name that is not there.
            if getattr(error, "errno", None) == errno.ENAMETOOLONG:
                continue
            result[name] = "unreadable_file"
    return result


def _read_far(folder: Folder, names: list[str]) -> dict[str, bytes | str]:
    """All at once: object stores answer many requests as fast as one.

    Not by `cat`, to which a `*` in a name means every object.
    """
    nothing = [None] * len(names)
    paths = [folder.path(name) for name in names]
    answers = folder.fs.cat_ranges(paths, nothing, nothing, on_error="return") if paths else []
    result: dict[str, bytes | str] = {}
    for name, answer in zip(names, answers, strict=True):
        if isinstance(answer, bytes):
            result[name] = answer
        elif not isinstance(answer, FileNotFoundError):
            result[name] = "unreadable_file"
    return result
