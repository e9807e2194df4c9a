"""A caption row as the readers hand it on, and where the plan found it."""

from __future__ import annotations

import dataclasses
import hashlib
import math
import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np

from miner.core.store import Store
from miner.corpora.corpus_folder import Folder

# Longer side columns are not carried into samples.
MAX_SIDE_CHARS = 2000


class Entry(NamedTuple):
    """Where a row is, and what it belongs to.

    Attributes:
        offset: first byte of the record in its table (or a row number, as the reader likes).
        length: bytes of the record.
        group: hash of what should stay together (slide, figure, picture).
        image: hash of the picture's name; rows of one picture are never parted.
        order: sorts pictures within a group.
    """

    offset: int
    length: int
    group: int
    image: int
    order: int = 0


class Place(NamedTuple):
    """A row of the plan.

    Attributes:
        row: row number in the publisher's tables, from 0.
        table: index of the table.
        offset: as in `Entry`.
        length: as in `Entry`.
    """

    row: int
    table: int
    offset: int
    length: int


@dataclasses.dataclass
class Row:
    """A caption row. `status` and `reason` are None while it is in play.

    Attributes:
        row: row number in the publisher's tables, from 0.
        image: picture's name as published.
        caption: as published.
        group: rows of one group never straddle a split.
        source: where the publisher has it from.
        meta: the publisher's side columns, JSON values.
        status: `unreadable`, `excluded`, `no_entity` or None.
        reason: why.
        turns: role and text of a text in turns.
        told: `miner.core.unit.MENTION` rows of a text that was composed, None for a published one.
        generated_from: first character of the caption that was composed, None for a published one.
        given: `miner.core.unit.GIVEN` rows: what experts outlined in the picture.
        notes: what is wrong with the row without stopping it.
        mpp: um per pixel by the magnification that the row states, or None.
        where: how the reader finds the picture.
    """

    row: int
    image: str = ""
    caption: str = ""
    group: str = ""
    source: str = ""
    meta: dict[str, Any] = dataclasses.field(default_factory=dict)
    status: str | None = None
    reason: str | None = None
    turns: list[dict[str, str]] | None = None
    told: list[dict[str, Any]] | None = None
    generated_from: int | None = None
    given: list[dict[str, Any]] | None = None
    notes: list[str] = dataclasses.field(default_factory=list)
    mpp: float | None = None
    where: Any = None

    @property
    def stated_mpp(self) -> float | None:
        """Um per pixel of a side column `mpp`, in any case; None without one."""
        named = (value for key, value in self.meta.items() if key.casefold() == "mpp")
        return next((mpp for mpp in map(read_mpp, named) if mpp is not None), None)

    def fail(self, status: str, reason: str) -> Row:
        """Take the row out of play, unless it is out already."""
        if self.status is None:
            self.status, self.reason = status, reason
        return self


@dataclasses.dataclass(frozen=True)
class Picture:
    """A picture as published, checked, or why there is none.

    Attributes:
        data: the publisher's bytes, None when there is no usable picture.
        format: jpg or png.
        width: pixels, 0 when unknown.
        height: pixels, 0 when unknown.
        mpp: um per pixel, or None.
        mpp_source: slide, magnification, stated, assumed or none.
        status: None, or what becomes of its rows.
        reason: why.
        meta: facts about the picture for its rows (scanner, ...).
    """

    data: bytes | None = None
    format: str = ""
    width: int = 0
    height: int = 0
    mpp: float | None = None
    mpp_source: str = "none"
    status: str | None = None
    reason: str | None = None
    meta: Mapping[str, Any] = dataclasses.field(default_factory=dict)


class Reader(Protocol):
    """One corpus. Readers inherit from this, and with it what most of them need not say.

    Attributes:
        folder: the publisher's files.
        tables: names of the files that hold the rows, in the order of the row numbers.
    """

    folder: Folder
    tables: tuple[str, ...]

    def fingerprint(self) -> list[Any]:
        """What changes when the rows may have changed; lists, texts and numbers."""
        ...

    def scan(self, table: int, start: int, problems: list[str]) -> Iterable[Entry]:
        """Rows of a table from byte `start`, which is 0 or the end of an entry."""
        ...

    def rows(self, places: list[Place]) -> list[Row]:
        """Parse rows; a bad one comes with a status and a reason."""
        ...

    def pictures(self, rows: list[Row], store: Store) -> dict[str, Picture]:
        """Pictures of rows, by name, each opened and checked once."""
        ...

    def prepare(self, store: Store) -> None:
        """Build and store what finding pictures needs (zip indexes); nothing, as it stands."""
        return None

    def lacking(self, images: np.ndarray, groups: np.ndarray) -> np.ndarray:
        """Which pictures no file is there for; none, as it stands: they lie in the rows.

        Args:
            images: uint64 (n,), `Entry.image` of pictures.
            groups: uint64 (n,), `Entry.group` of each.

        Returns:
            bool (n,).
        """
        return np.zeros(len(images), bool)

    def spread(self, rows: list[Row]) -> dict[str, dict[str, int]]:
        """What the pictures of some rows say of themselves: dimension to values and their counts.

        It costs what opening pictures costs, so for some of them only; nothing, as it stands.
        """
        return {}


def read_mpp(value: object) -> float | None:
    """Um per pixel of a table's cell, a number or a text that is one ("0.25", "0,25").

    Returns:
        None where it is neither, or not between .01 and 100.
    """
    if isinstance(value, str):
        try:
            value = float(value.strip().replace(",", "."))
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0.01 < value < 100 else None


def hash64(*parts: str) -> int:
    """Stable 64-bit hash of some texts, the same however their letters are composed."""
    text = unicodedata.normalize("NFC", "\0".join(parts)).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")


def sample_id(name: str, row: int, image: str, caption: str) -> str:
    """Identity of a row: corpus, row number and six hex digits of what it says."""
    text = f"{image}\0{caption}".encode("utf-8", "surrogatepass")
    return f"{name}-{row:08d}-{hashlib.sha256(text).hexdigest()[:6]}"


_SURROGATE = re.compile(r"[\ud800-\udfff]")


def clean(text: str) -> tuple[str, bool]:
    """Text that UTF-8 can hold, and whether something had to be replaced."""
    if _SURROGATE.search(text):
        return _SURROGATE.sub("�", text), True
    return text, False


def scalars(value: Mapping[str, Any], skip: Iterable[str]) -> dict[str, Any]:
    """Side columns that are texts, finite numbers or truth values."""
    result: dict[str, Any] = {}
    left_out = set(skip)
    for key in sorted(set(value) - left_out, key=str):
        side = value[key]
        if isinstance(side, str):
            if side and len(side) <= MAX_SIDE_CHARS:
                result[clean(str(key))[0]] = clean(side)[0]
        elif isinstance(side, bool | int) or (isinstance(side, float) and math.isfinite(side)):
            result[clean(str(key))[0]] = side
    return result
