"""Pictures beside annotations in files of one stem: what most layouts are made of."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

import numpy as np

from miner.core.errors import Refused
from miner.core.names import PICTURES, plain
from miner.core.pixels import BadPicture, opened
from miner.corpora.corpus_folder import Folder
from miner.corpora.expert.tile import BadTile, Item, Layout, read_file

_TCGA = re.compile(r"TCGA-\w\w-\w{4}")


def stem_of(name: str) -> str:
    """Base name without its last suffix."""
    last = plain(name).rpartition("/")[2]
    return last.rpartition(".")[0] or last


def patient_of(stem: str) -> str:
    """TCGA patient that a name begins with, else the name."""
    found = _TCGA.match(stem)
    return found.group() if found else stem


def pictures_in(names: Iterable[str], *folders: str) -> dict[str, str]:
    """Names of pictures by stem, of those in a folder that is called so, all where none is given.

    Args:
        names: of files, with folders.
        folders: lower-case.
    """
    found: dict[str, str] = {}
    for name in names:
        if not name.lower().endswith(PICTURES):
            continue
        above = [part.lower() for part in plain(name).split("/")[:-1]]
        if not folders or set(folders) & set(above):
            found.setdefault(stem_of(name), name)
    return found


def tables_in(names: Iterable[str]) -> dict[str, str]:
    """Names of CSV files by stem, of those in a folder that is called `csv`."""
    return {stem_of(n): n for n in names if n.endswith(".csv") and "csv/" in n}


class Paired(Layout):
    """A set of pictures, each with an annotation in a file of the same stem.

    `where` of an item is (picture, annotation or None); an annotation without a picture is a
    problem.

    Attributes:
        expected: what must lie in the folder, for the line that refuses it.
        names: of all files, sorted.

    Raises:
        Refused: there are no annotations, or no pictures.
    """

    expected: ClassVar[str]

    def __init__(self, folder: Folder):
        self.folder = folder
        self.problems: list[str] = []
        self.names = sorted(folder.walk())
        pictures, annotations = self.files()
        if not pictures or not annotations:
            raise Refused(f"{folder.field}: {folder.url}: expected {self.expected}")
        alone = sorted(set(annotations) - set(pictures))
        if alone:
            first = annotations[alone[0]]
            self.problems.append(f"{len(alone)} annotations without a picture, such as {first}")
        self.items: Sequence[Item] = [
            Item(stem, patient_of(stem), (pictures[stem], annotations.get(stem)))
            for stem in sorted(pictures)
        ]

    @abstractmethod
    def files(self) -> tuple[Mapping[str, str], Mapping[str, str]]:
        """Pictures and annotations, each by stem."""


def picture_and_size(folder: Folder, name: str) -> tuple[bytes, tuple[int, int]]:
    """Bytes of a picture, and its height and width.

    Raises:
        BadTile: it is not there or no picture.
    """
    data = read_file(folder, name, "missing_image")
    try:
        width, height = opened(data).size
    except BadPicture as bad:
        raise BadTile(str(bad)) from None
    return data, (height, width)


def read_codes(folder: Folder, name: str | None, size: tuple[int, int]) -> np.ndarray:
    """Numbers of a label map in a picture file, int64 (H, W).

    Args:
        folder: of the set.
        name: of the file, None where there is none.
        size: height and width that it must have.

    Raises:
        BadTile: `missing_masks`, `unreadable_mask`, `another_size`.
    """
    codes = read_channels(folder, name, size)
    if codes.ndim == 3 and (codes == codes[..., :1]).all():
        codes = codes[..., 0]
    if codes.ndim != 2:
        raise BadTile("unreadable_mask")
    return codes


def read_channels(folder: Folder, name: str | None, size: tuple[int, int]) -> np.ndarray:
    """Numbers of a label map, int64 (H, W) or (H, W, C), alpha left out; see `read_codes`."""
    if name is None:
        raise BadTile("missing_masks")
    try:
        image = opened(read_file(folder, name, "missing_masks"))
        image.load()
    except (BadPicture, OSError, ValueError, SyntaxError):
        raise BadTile("unreadable_mask") from None
    if image.size != (size[1], size[0]):
        raise BadTile("another_size")
    if image.mode in ("RGBA", "LA"):
        image = image.convert(image.mode[:-1])
    codes = np.asarray(image)
    if codes.dtype.kind not in "iub":
        raise BadTile("unreadable_mask")
    return codes.astype(np.int64)
