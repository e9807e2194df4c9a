"""Members of big zips by base name, through an index that is built once and then mapped.

`zipfile` reads the whole directory of a zip whenever it opens one: seconds and hundreds of
megabytes for 650,000 members, in every worker. The index keeps 34 bytes a member.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO

import numpy as np

from miner.core.errors import Refused
from miner.core.names import base, hidden, plain, zip_name
from miner.core.store import Store
from miner.corpora.corpus_folder import Folder
from miner.corpora.rows import hash64

INDEX = np.dtype(
    [
        ("name", "<u8"),  # hash of the base name, sorted
        ("header", "<u8"),  # offset of the member's local header
        ("compressed", "<u8"),
        ("size", "<u8"),
        ("crc", "<u4"),
        ("method", "<u2"),
        ("flags", "<u2"),
    ]
)
_LOCAL = struct.Struct("<4sHHHHHIIIHH")


class BadMember(Exception):
    """A member that cannot be read; the message is the reason."""


def build_index(folder: Folder, field: str) -> np.ndarray:
    """Index of a zip's members.

    Args:
        folder: the zip itself.
        field: configuration field, for messages.

    Returns:
        `INDEX` array sorted by name hash, then by offset.

    Raises:
        Refused: it is no whole zip.
    """
    members = members_in(folder, field)
    index = np.zeros(len(members), INDEX)
    for at, (info, name) in enumerate(members):
        index[at] = (
            hash64(base(name)),
            info.header_offset,
            info.compress_size,
            info.file_size,
            info.CRC,
            info.compress_type,
            info.flag_bits,
        )
    return np.sort(index, order=["name", "header"])


def members_in(folder: Folder, field: str) -> list[tuple[zipfile.ZipInfo, str]]:
    """Files in a zip and their names; see `members_of`.

    Raises:
        Refused: it is no whole zip.
    """
    try:
        with folder.open() as file, zipfile.ZipFile(file) as archive:
            return list(members_of(archive))
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, ValueError) as error:
        raise Refused(
            f"{field}: {folder.url}: not a whole zip ({error}); was its download cut short?"
        ) from None


def members_of(archive: zipfile.ZipFile) -> Iterator[tuple[zipfile.ZipInfo, str]]:
    """Files in a zip and their names, but hidden ones; for all writers' spelling of names."""
    for info in archive.infolist():
        raw = info.orig_filename.encode("utf-8" if info.flag_bits & 0x800 else "cp437", "replace")
        name = zip_name(raw, info.flag_bits)
        if not info.is_dir() and not hidden(name) and base(name):
            yield info, name


def load_index(store: Store, name: str) -> np.ndarray:
    """A stored index, mapped into memory where the store is a local disk."""
    if store.local:
        return np.load(store.path(name), mmap_mode="r")
    return np.load(io.BytesIO(store.read(name)))


def save_index(store: Store, name: str, index: np.ndarray) -> None:
    """Store an index as a .npy file."""
    with store.writer(name) as file:
        np.save(file, index)


class Archive:
    """Reads members of one zip by base name.

    Args:
        folder: the zip itself.
        index: what `build_index` made of it.
    """

    def __init__(self, folder: Folder, index: np.ndarray):
        self.folder = folder
        self.index = index
        self._file: IO[bytes] | None = None

    def find(self, name: str) -> np.ndarray:
        """Index rows of the members with a base name; hashes only, `read` checks the name."""
        wanted = np.uint64(hash64(name))
        names = self.index["name"]
        return self.index[np.searchsorted(names, wanted) : np.searchsorted(names, wanted, "right")]

    def read(self, name: str, limit: int) -> bytes | None:
        """Bytes of the member with a base name, or None when there is none.

        Raises:
            BadMember: `ambiguous_name` (several members of that name differ), `encrypted_member`,
                `unsupported_compression`, `member_too_large` (more than `limit` bytes),
                `truncated_zip`, `crc_error`.
        """
        found = self.find(name)
        if not len(found):
            return None
        if len(np.unique(found[["crc", "size"]])) > 1:
            raise BadMember("ambiguous_name")
        return self._member(found[0], name, limit)

    def _member(self, entry: np.void, name: str, limit: int) -> bytes | None:
        if entry["flags"] & 1:
            raise BadMember("encrypted_member")
        if entry["size"] > limit:
            raise BadMember("member_too_large")
        if entry["header"] >= 1 << 62 or entry["compressed"] > limit:
            raise BadMember("truncated_zip")
        if self._file is None:
            self._file = self.folder.open()
        self._file.seek(int(entry["header"]))
        header = self._file.read(_LOCAL.size)
        if len(header) < _LOCAL.size:
            raise BadMember("truncated_zip")
        fields = _LOCAL.unpack(header)
        if fields[0] != b"PK\x03\x04":
            raise BadMember("truncated_zip")
        spelled = base(zip_name(self._file.read(fields[9]), fields[2]))
        if plain(spelled) != plain(name):
            return None  # two names of one hash
        self._file.seek(fields[10], io.SEEK_CUR)
        data = self._file.read(int(entry["compressed"]))
        if len(data) < entry["compressed"]:
            raise BadMember("truncated_zip")
        if entry["method"] == zipfile.ZIP_DEFLATED:
            try:
                data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, int(entry["size"]) + 1)
            except zlib.error:
                raise BadMember("crc_error") from None
        elif entry["method"] != zipfile.ZIP_STORED:
            raise BadMember("unsupported_compression")
        if len(data) != entry["size"] or zlib.crc32(data) != entry["crc"]:
            raise BadMember("crc_error")
        return data
