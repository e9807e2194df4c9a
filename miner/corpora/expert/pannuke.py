"""PanNuke: folds of arrays, `images.npy`, `masks.npy` and `types.npy`.

`Fold k/images/foldk/{images,types}.npy` and `Fold k/masks/foldk/masks.npy`; other names of folds
and `foldk/{images,masks,types}.npy` are read as well. Masks are float64 (n, 256, 256, 6): ids of
single nuclei per class, the sixth is the background. Channels as in the folds' README.md and in
pathml/datasets/pannuke.py. A tile is read by its bytes alone, so a fold of 8.6 GB needs no memory.
"""

from __future__ import annotations

import io
from typing import NamedTuple

import numpy as np

from miner.core.errors import Refused
from miner.corpora.corpus_folder import Folder
from miner.corpora.expert.tile import (
    BadTile,
    Item,
    Layout,
    Outlined,
    Term,
    Tile,
    noted,
    ranked,
    split_ids,
    whole_numbers,
)

TERMS = (
    Term("tumor cell", "neoplastic cells"),
    Term("inflammatory cell", "inflammatory cells"),
    Term("stromal cell", "connective tissue cells"),
    Term("degenerated cell", "dead cells"),
    Term("epithelial cell", "epithelial cells"),
)
MPP = 0.25
# Types that are no sites of ours as they stand.
ORGANS = {
    "adrenal_gland": "adrenal gland",
    "bile-duct": "bile duct",
    "headneck": "head and neck",
    "head&neck": "head and neck",
}


class Array(NamedTuple):
    """An array in an npy file.

    Attributes:
        name: of the file.
        shape: of the array.
        dtype: of its values.
        start: offset of the first value.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    start: int


class PanNuke(Layout):
    """All folds below a folder.

    Raises:
        Refused: there is none.
    """

    def __init__(self, folder: Folder):
        self.folder = folder
        self.problems: list[str] = []
        self.items: list[Item] = []
        names = sorted(n for n in folder.walk() if n.rpartition("/")[2] == "images.npy")
        if not names:
            raise Refused(f"{folder.field}: {folder.url}: no images.npy of a fold in it")
        folds = [_fold(name) for name in names]
        for name, fold in zip(names, folds, strict=True):
            unique = fold if folds.count(fold) == 1 else name.rpartition("/")[0].replace("/", "-")
            self._add(name, unique)

    def _add(self, name: str, fold: str) -> None:
        try:
            pictures = open_array(self.folder, name)
            masks = open_array(self.folder, _masks(name))
        except BadTile as bad:
            self.problems.append(f"{name}: {bad}")
            return
        n = min(pictures.shape[0], masks.shape[0])
        if pictures.shape[0] != masks.shape[0]:
            self.problems.append(f"{name}: {pictures.shape[0]} pictures, {masks.shape[0]} masks")
        if not n:
            self.problems.append(f"{name}: the fold is empty")
        types = self._types(name, n)
        self.items += [
            Item(f"{fold}_{i:05d}", fold, (pictures, masks, i, types[i])) for i in range(n)
        ]

    def _types(self, name: str, n: int) -> list[str]:
        """Tissue of every tile, "" where it is not told."""
        beside = f"{name[: -len('images.npy')]}types.npy"
        try:
            found = np.load(io.BytesIO(self.folder.read(beside)), allow_pickle=False)
        except (OSError, ValueError):
            self.problems.append(f"{beside}: missing or unreadable: tissue unknown")
            return [""] * n
        types = [str(one) for one in found.reshape(-1)[:n]]
        return types + [""] * (n - len(types))

    def read(self, item: Item) -> Tile:
        """A tile; see `Layout.read`."""
        pictures, masks, i, type_ = item.where
        picture = read_part(self.folder, pictures, i)
        if picture.ndim != 3 or picture.shape[2] != 3:
            raise BadTile("not_an_image")
        ids = read_part(self.folder, masks, i)
        if ids.ndim != 3 or ids.shape[:2] != picture.shape[:2] or ids.shape[2] < len(TERMS):
            raise BadTile("another_size")
        maps, nuclei, shared = by_channel(ids, len(TERMS))
        outlined = [
            Outlined(str(term.concept), term.phrase, labels)
            for term, labels in zip(TERMS, maps, strict=True)
        ]
        return Tile(
            np.clip(picture, 0, 255).astype(np.uint8),
            (Outlined("nucleus", "nuclei", nuclei), *outlined),
            mpp=MPP,
            organ=ORGANS.get(type_.lower(), type_.lower()),
            meta={"fold": item.group},
            notes=noted(overlapping_px=shared, split_ids=split_ids(nuclei)),
        )


def by_channel(ids: np.ndarray, channels: int) -> tuple[list[np.ndarray], np.ndarray, int]:
    """Label maps of the first channels, and all their objects in one; raises `BadTile`.

    Four fifths of a tile are background: only what is not is looked at.

    Args:
        ids: any numbers (H, W, C), in C order.
        channels: how many, at most C.

    Returns:
        Maps, int32 (H, W), ids 1..n each; that of all, where the first of two objects at one place
        has it; and how many pixels belong to another one, too.
    """
    height, width, depth = ids.shape
    flat = ids.reshape(-1)
    there = flat != 0
    there.reshape(-1, depth)[:, channels:] = False
    place = np.flatnonzero(there)  # of truth values: a third of the time
    pixel, channel = np.divmod(place, depth)
    numbers = whole_numbers(flat[place])
    union = np.zeros(height * width, np.int32)
    maps, before = [], int(numbers.size)
    for one in reversed(range(channels)):
        mine = channel == one
        labels = np.zeros(height * width, np.int32)
        here, objects = pixel[mine], np.unique(numbers[mine], return_inverse=True)[1] + 1
        labels[here] = objects
        before -= int(objects.max(initial=0))
        union[here] = objects + before
        maps.append(labels.reshape(height, width))
    shared = len(pixel) - int(np.count_nonzero(union))
    return maps[::-1], ranked(union.reshape(height, width)), shared


def open_array(folder: Folder, name: str) -> Array:
    """Header of an npy file.

    Raises:
        BadTile: `missing_masks`, or `damaged_array` for anything but plain numbers in C order.
    """
    try:
        with folder.open(name) as file:
            version = np.lib.format.read_magic(file)
            read = {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
            }[version]
            shape, fortran, dtype = read(file)
            start = file.tell()
    except FileNotFoundError:
        raise BadTile("missing_masks") from None
    except (OSError, ValueError, KeyError):
        raise BadTile("damaged_array") from None
    if fortran or dtype.hasobject or not shape:
        raise BadTile("damaged_array")
    return Array(name, shape, dtype, start)


def read_part(folder: Folder, array: Array, i: int) -> np.ndarray:
    """One entry along the first axis; nothing else is read.

    Raises:
        BadTile: `truncated_array`, `unreadable_file`.
    """
    shape = array.shape[1:]
    size = int(np.prod(shape, dtype=np.int64)) * array.dtype.itemsize
    try:
        with folder.open(array.name) as file:
            file.seek(array.start + i * size)
            data = file.read(size)
    except OSError:
        raise BadTile("unreadable_file") from None
    if len(data) < size:
        raise BadTile("truncated_array")
    return np.frombuffer(data, array.dtype).reshape(shape)


def _masks(images: str) -> str:
    """Where the masks of `images.npy` lie: in the folder of that name, else beside it."""
    return images.replace("images", "masks")


def _fold(images: str) -> str:
    """Name of the fold: the folder's that is not called images."""
    parts = [p for p in images.split("/")[:-1] if p.lower() != "images"]
    return (parts[-1] if parts else "fold").replace(" ", "").lower()
