"""Fingerprints of pictures that nothing may be like: read from what a lab has, kept in one file.

A file of fingerprints has names, hashes, thumbnails of ranks (64 px, grey, no colours), embeddings
and patients, and no picture; `miner protect build` makes one that can be given away.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import os
import re
import stat
import tarfile
import tokenize
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from filters.dedupe.items import lacking
from filters.dedupe.thumbnail import SIDE, pixel_hash, thumbnail
from miner.core.errors import Refused
from miner.core.pixels import decode

PICTURES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp"})
PATIENT = re.compile(r"TCGA-\w\w-\w{4}")
_MARK = b"histomine.prints"  # key of the file's metadata
_HASH = re.compile(r"\b[0-9a-f]{64}\b", re.IGNORECASE)

Embed = Callable[[np.ndarray], np.ndarray]
# What a damaged tar, and a damaged header of numpy's, raise.
_TORN = (tarfile.TarError, tokenize.TokenError)


@dataclasses.dataclass(frozen=True)
class Prints:
    """Fingerprints; what is not known of any picture is None.

    Attributes:
        names: of the pictures, for people.
        hashes: sha256 of their bytes; empty where there is none.
        pixel_hashes: see `filters.dedupe.thumbnail.pixel_hash`; empty where there is none.
        thumbs: uint8 (n, SIDE, SIDE).
        vectors: float16 (n, d).
        model: what made the vectors.
    """

    names: tuple[str, ...]
    hashes: tuple[str, ...]
    pixel_hashes: tuple[str, ...]
    thumbs: np.ndarray | None = None
    vectors: np.ndarray | None = None
    model: str | None = None

    def __len__(self) -> int:
        return len(self.names)

    @property
    def patients(self) -> frozenset[str]:
        """TCGA patients in the names."""
        found = (PATIENT.search(name) for name in self.names)
        return frozenset(match.group() for match in found if match)

    def to_bytes(self) -> bytes:
        """A parquet file; the same fingerprints, the same bytes."""
        n = len(self)
        thumbs = [None] * n if self.thumbs is None else [t.tobytes() for t in self.thumbs]
        vectors = [None] * n if self.vectors is None else list(self.vectors)
        table = pa.table(
            {
                "name": pa.array(self.names, pa.string()),
                "sha256": pa.array(self.hashes, pa.string()),
                "pixel_hash": pa.array(self.pixel_hashes, pa.string()),
                "thumbnail": pa.array(thumbs, pa.binary(SIDE * SIDE)),
                "embedding": pa.array(vectors, pa.list_(pa.float16())),
            }
        ).replace_schema_metadata({_MARK: json.dumps({"model": self.model}).encode()})
        buffer = io.BytesIO()
        pq.write_table(table, buffer, compression="zstd")
        return buffer.getvalue()


def from_bytes(data: bytes) -> Prints:
    """Read what `Prints.to_bytes` wrote."""
    table = pq.read_table(io.BytesIO(data))
    columns = {name: table[name].to_pylist() for name in table.column_names}
    thumbs = [np.frombuffer(t, np.uint8) for t in columns["thumbnail"] if t is not None]
    vectors = [v for v in columns["embedding"] if v is not None]
    return Prints(
        tuple(columns["name"]),
        tuple(columns["sha256"]),
        tuple(columns["pixel_hash"]),
        np.stack(thumbs).reshape(-1, SIDE, SIDE) if thumbs else None,
        np.asarray(vectors, np.float16) if vectors else None,
        json.loads(table.schema.metadata[_MARK])["model"],
    )


def read(path: str, model: str, embed: Embed, field: str) -> Prints:
    """Fingerprints of what a path holds.

    A folder: every picture in it, and those of tars and parquet files; where items of a test set
    lie in it (PathMMU's data.json, RefPath's JSON lines), all the pictures that they name. A tar,
    or a parquet file with a column `image` (as on the Hugging Face hub). A `.npy` of pictures,
    uint8 (n, H, W, 3), or of embeddings, float (n, d). A file of fingerprints. Any other file:
    sha256 in hexadecimal, as `sha256sum` prints them.

    Args:
        path: folder or file.
        model: what `embed` is, and what made the embeddings of a `.npy`.
        embed: embeds a picture, uint8 (H, W, 3) RGB -> float32 (d,).
        field: what the path is called in the configuration.

    Raises:
        Refused: nothing there, nothing in it, or something that cannot be read: a guard that
            silently guards less is a leak.
    """
    place = Path(path).expanduser()
    try:
        if place.is_file() and place.suffix == ".parquet" and _is_prints(place):
            found = from_bytes(place.read_bytes())
        elif (
            place.is_file() and place.suffix == ".npy" and (vectors := _vectors(place)) is not None
        ):
            names = tuple(f"{place.name}#{i}" for i in range(len(vectors)))
            none = ("",) * len(names)
            found = Prints(names, none, none, vectors=vectors, model=model)
        elif place.is_file() and place.suffix not in {".npy", ".tar", ".parquet", *PICTURES}:
            hashes = tuple(h.lower() for h in _HASH.findall(place.read_text(encoding="utf-8")))
            found = Prints(tuple(h[:12] for h in hashes), hashes, ("",) * len(hashes))
        elif place.exists():
            found = _of_pictures(_pictures(place), model, embed)
            _need_all(place, found.names, f"{field}: {path}")
        else:
            raise Refused(f"{field}: {path}: no such file or folder")
    except (OSError, ValueError, SyntaxError, pa.ArrowException, *_TORN) as error:
        said = str(error).strip().splitlines()
        raise Refused(f"{field}: {path}: cannot be read ({said[0] if said else error!r})") from None
    if not len(found):
        raise Refused(f"{field}: {path}: holds nothing to protect; an empty guard is a leak")
    return found


def _need_all(place: Path, names: Sequence[str], where: str) -> None:
    """Raise `Refused` where the items of a test set name pictures that are not there."""
    for file, lost in lacking(place, names).items():
        raise Refused(
            f"{where}: {len(lost)} pictures that {file} names are not there ({lost[0]}): fetch "
            "them, or name the folder of the pictures alone to guard less"
        )


def _of_pictures(
    pictures: Iterator[tuple[str, bytes | np.ndarray]], model: str, embed: Embed
) -> Prints:
    names, hashes, pixels, thumbs, vectors = [], [], [], [], []
    for name, data in pictures:
        if isinstance(data, bytes):
            try:
                image = decode(data)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None
            hashes.append(hashlib.sha256(data).hexdigest())
        else:
            image = data
            hashes.append("")
        names.append(name)
        pixels.append(pixel_hash(image))
        thumbs.append(thumbnail(image))
        vectors.append(embed(image).astype(np.float16))
    if not names:
        return Prints((), (), ())
    packed = np.stack(thumbs), np.stack(vectors)
    return Prints(tuple(names), tuple(hashes), tuple(pixels), *packed, model)


def _pictures(place: Path) -> Iterator[tuple[str, bytes | np.ndarray]]:
    """Names and bytes (or pixels) of the pictures in a folder or file, in order of their names."""
    if place.is_dir():
        for file in _files(place):
            front = file.relative_to(place).as_posix()
            for name, data in _pictures(file):
                yield front + name.removeprefix(file.name), data
    elif place.suffix.lower() in PICTURES:
        yield place.name, place.read_bytes()
    elif place.suffix == ".tar":
        with tarfile.open(place) as tar:
            for member in tar:
                base = member.name.rsplit("/", 1)[-1]
                suffix = Path(base).suffix.lower()
                if member.isfile() and suffix in PICTURES and not base.startswith("."):
                    opened = tar.extractfile(member)
                    assert opened is not None  # of a regular file
                    yield f"{place.name}/{member.name}", opened.read()
            end = tar.offset
        with place.open("rb") as raw:
            # A damaged header ends the reading as if the tar ended there.
            raw.seek(end)
            while block := raw.read(1 << 20):
                if block.strip(b"\0"):
                    raise ValueError(f"{place.name}: from byte {end} on this is no tar")
    elif place.suffix == ".parquet":
        yield from _of_parquet(place)
    elif place.suffix == ".npy":
        array = np.load(place, mmap_mode="r")
        if array.ndim == 4 and array.shape[3] == 3:
            for i in range(len(array)):  # PanNuke has whole numbers as float64
                yield f"{place.name}#{i}", np.asarray(array[i]).astype(np.uint8)


def _files(place: Path) -> list[Path]:
    """Files below a folder, sorted, without hidden ones.

    Raises:
        OSError: a folder in it cannot be listed, or a link leads nowhere.
        ValueError: a link to a folder; what is behind it would be left out.
    """

    def fail(error: OSError) -> None:
        raise error

    found = []
    for home, folders, names in os.walk(place, onerror=fail):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in folders:
            if os.path.islink(os.path.join(home, name)):
                raise ValueError(f"{name}: a link to a folder; name the folder itself")
        found += [Path(home, name) for name in names if not name.startswith(".")]
    return sorted(file for file in found if stat.S_ISREG(file.stat().st_mode))


def _of_parquet(place: Path) -> Iterator[tuple[str, bytes]]:
    file = pq.ParquetFile(place)
    if "image" not in file.schema_arrow.names:
        return
    at = 0
    for batch in file.iter_batches(64, columns=["image"]):
        for value in batch["image"].to_pylist():
            name = (value.get("path") if isinstance(value, dict) else None) or f"#{at}"
            data = value.get("bytes") if isinstance(value, dict) else value
            if not isinstance(data, bytes):
                raise ValueError(f"row {at}: no picture in its column image")
            yield f"{place.name}/{name}", data
            at += 1


def _is_prints(place: Path) -> bool:
    return _MARK in (pq.read_schema(place).metadata or {})


def _vectors(place: Path) -> np.ndarray | None:
    """Embeddings of a `.npy`, float16 (n, d); None when it holds pictures.

    Raises:
        ValueError: a value that is no number, or neither pictures nor embeddings.
    """
    array: Any = np.load(place, mmap_mode="r")
    if array.ndim == 4:
        return None
    if array.ndim != 2 or array.dtype.kind != "f":
        raise ValueError(f"neither pictures nor embeddings: {array.dtype} {array.shape}")
    finite = np.isfinite(array).all(axis=1)
    if not finite.all():
        raise ValueError(f"row {int(np.argmin(finite))} has a value that is no number")
    return np.asarray(array, np.float16)
