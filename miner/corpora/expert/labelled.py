"""Annotated sets as labelled tiles: what thresholds are fitted on and segmenters judged by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from filters.calibration.labelled import Labelled, Truth, read_folders
from miner.core.pixels import BadPicture, opened, rgb
from miner.corpora.corpus_folder import Folder
from miner.corpora.expert.layouts import layout_of, open_layout
from miner.corpora.expert.tile import BadTile, Item, Tile

# Files of the layouts of `filters.calibration.labelled`, which are believed first.
_OWN = ("index.jsonl", "expert_masks")


def read_masks(folders: Sequence[Path], most: int | None = None) -> Iterator[Labelled]:
    """Labelled tiles of annotated sets as published, and of the layouts of `read_folders`.

    Args:
        folders: of either.
        most: tiles of each published set, taken at even distances; all when None.

    Raises:
        Refused: no such folder, or none of the layouts.
    """
    layouts = {folder: _published(folder) for folder in folders}
    others = [folder for folder in folders if layouts[folder] is None]
    if others:
        yield from read_folders(others)
    for folder, name in layouts.items():
        if name is not None:
            yield from _set(folder, name, most)


def _published(folder: Path) -> str | None:
    """Name of the layout as which a set was published."""
    if not folder.is_dir() or any((folder / name).exists() for name in _OWN):
        return None
    return layout_of(Folder(str(folder), "--masks"))


def _set(folder: Path, name: str, most: int | None) -> Iterator[Labelled]:
    layout = open_layout(Folder(str(folder), "--masks"), name)
    items = list(layout.items)
    if most is not None and len(items) > most:
        items = [items[i] for i in np.linspace(0, len(items) - 1, most).astype(int)]
    for item in items:
        try:
            tile = layout.read(item)
            picture = _pixels(tile)
        except (BadTile, BadPicture):
            continue
        yield labelled(item, tile, picture, name)


def labelled(item: Item, tile: Tile, picture: np.ndarray, source: str) -> Labelled:
    """A picture of a set with what is known of it.

    Args:
        item: which.
        tile: its annotation.
        picture: uint8 (H, W, 3), RGB.
        source: name of the set.
    """
    told = [one for one in tile.outlined if one.complete]
    truth = {one.concept: Truth(one.labels, True, tile.unknown) for one in told if one.labels.any()}
    known = tile.unknown is None or not tile.unknown.any()
    absent = tuple(one.concept for one in told if known and not one.labels.any())
    return Labelled(
        name=f"{source}/{item.name}",
        source=source,
        group=item.group,
        image=picture,
        mpp=tile.mpp,
        truth=truth,
        site=tile.organ or None,
        absent=absent,
    )


def _pixels(tile: Tile) -> np.ndarray:
    return tile.picture if isinstance(tile.picture, np.ndarray) else rgb(opened(tile.picture))
