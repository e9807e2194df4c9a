"""What experts say: label maps by picture and concept, and the gold beside them."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from miner.core.errors import Refused
from miner.core.names import hidden, map_name, plain, stem
from miner.core.wording import counted
from miner.corpora.corpus_folder import Folder
from miner.corpora.expert.layouts import layout_of, open_layout
from miner.corpora.expert.tile import BadTile
from miner.evaluate.places import Picture, Places, whole


class Truth:
    """Label maps `<corpus>/<image or wsi_x_y>/<entity>.png`, and `gold.jsonl`.

    `<image>` has no suffix, and the picture's folders where another picture has that name without.

    Args:
        masks: folder of the label maps. A `gold.jsonl` in or above it has a row per caption:
            corpus, image, caption, mentions; one with `present: false` says that a concept is not
            in the picture.
        pictures: of the run that is held against them, (corpus, image); see `places.pictures_of`.

    Attributes:
        gold: its rows, empty without one.
        places: what the pictures with label maps are called.

    Raises:
        Refused: no label maps there, none of a picture of the run, or the gold cannot be read.
    """

    def __init__(self, masks: Path, pictures: Iterable[Picture] = ()):
        self._folders = _folders(masks)
        if not self._folders:
            raise Refused(f"--masks {masks}: no <corpus>/<image>/<entity>.png in it")
        self.gold = _gold(masks)
        pictures = list(pictures)
        self.places = Places(self._folders, pictures)
        strangers = self.places.strangers()
        if pictures and len(strangers) == len(self._folders):
            raise _unfitting(masks, strangers[0], pictures)
        self._gold_places = Places(
            {(row["corpus"], whole(row["image"])) for row in self.gold}, pictures
        )
        self._absent = {
            (row["corpus"], whole(row["image"]), mention["concept"])
            for row in self.gold
            for mention in row["mentions"]
            if mention.get("present") is False
        }

    def labels(self, corpus: str, image: str, concept: str) -> np.ndarray | None:
        """Label map of a concept in a picture, int (H, W), 0 background; None without one."""
        file = self._file(corpus, image, concept)
        if file is None or not file.exists():
            return None
        found = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
        if found is None or found.ndim != 2:
            raise Refused(f"{file}: no label map; a picture of one channel is expected")
        return np.asarray(found)

    def outlined(self, corpus: str, image: str, concept: str) -> bool:
        """Whether experts outlined the concept in the picture."""
        file = self._file(corpus, image, concept)
        return file is not None and file.exists()

    def absent(self, corpus: str, image: str, concept: str) -> bool:
        """Whether the gold says that the concept is not in the picture."""
        return (corpus, self._gold_places.name(corpus, image), concept) in self._absent

    def answering(self, corpus: str, image: str, concept: str, asked_as: str | None) -> str:
        """The concept whose truth a mask is held against.

        Its own, or where experts tell nothing of it in the picture, but do of the one that the
        segmenter was asked for in its place, that one: the gland of a prostatic gland.
        """
        for name in (concept, asked_as):
            place = corpus, image, name or concept
            if self.outlined(*place) or self.absent(*place):
                return name or concept
        return concept

    def _file(self, corpus: str, image: str, concept: str) -> Path | None:
        name = self.places.name(corpus, image)
        return None if name is None else self._folders[corpus, name] / f"{map_name(concept)}.png"

    def left_out(self) -> list[str]:
        """Label maps that judge nothing, in sentences."""
        lines = []
        if strangers := self.places.strangers():
            lines.append(
                f"{len(strangers)} of {len(self._folders)} folders of label maps have the name of "
                f"no picture of the run, such as {strangers[0]}."
            )
        if shared := self.places.shared():
            lines.append(
                f"{counted(len(shared), 'folder')} of label maps may be of several pictures and "
                f"judge none, such as {shared[0]}: give them the picture's whole name, with its "
                "folders."
            )
        return lines


class SetTruth(Truth):
    """An annotated set as published, for pictures that were mined from it under their names.

    Args:
        masks: folder of the set.
        layout: its layout's name, see `miner.corpora.expert.layouts.layout_of`.
        pictures: of the run; which corpus they are in does not matter.

    Raises:
        Refused: none of its pictures is one of the run.
    """

    def __init__(self, masks: Path, layout: str, pictures: Iterable[Picture] = ()):
        self.gold = []
        self._layout = open_layout(Folder(str(masks), "--masks"), layout)
        self._items = {item.name: item for item in self._layout.items}
        pictures = list(pictures)
        if pictures and not any(image in self._items for _, image in pictures):
            raise _unfitting(masks, "/".join((layout, next(iter(self._items), "-"))), pictures)
        self._read = functools.lru_cache(maxsize=64)(self._outlines)

    def _outlines(self, image: str) -> dict[str, np.ndarray]:
        """Label maps of a picture by concept; none of what lies partly where nobody looked."""
        item = self._items.get(image)
        try:
            tile = None if item is None else self._layout.read(item)
        except BadTile:
            tile = None
        if tile is None or (tile.unknown is not None and tile.unknown.any()):
            return {}
        return {one.concept: one.labels for one in tile.outlined if one.complete}

    def labels(self, corpus: str, image: str, concept: str) -> np.ndarray | None:
        """See `Truth.labels`."""
        found = self._read(image).get(concept)
        return found if found is not None and found.any() else None

    def outlined(self, corpus: str, image: str, concept: str) -> bool:
        """Whether experts outlined the concept in the picture."""
        return self.labels(corpus, image, concept) is not None

    def absent(self, corpus: str, image: str, concept: str) -> bool:
        """Whether experts looked for the concept in vain."""
        found = self._read(image).get(concept)
        return found is not None and not found.any()

    def left_out(self) -> list[str]:
        """Nothing is said of the rest of a set, of which a run may mine a part."""
        return []


def truth_of(masks: Path, pictures: Iterable[Picture] = ()) -> Truth:
    """What experts say, in label maps or in an annotated set as published.

    Args:
        masks: their folder.
        pictures: of the run, see `places.pictures_of`.

    Raises:
        Refused: neither is there, or it is of none of the pictures.
    """
    layout = layout_of(Folder(str(masks), "--masks")) if masks.is_dir() else None
    return Truth(masks, pictures) if layout is None else SetTruth(masks, layout, pictures)


def _folders(masks: Path) -> dict[Picture, Path]:
    """Folders with label maps, by corpus and the name of the picture below it."""
    found: dict[Picture, Path] = {}
    for file in sorted(masks.glob("*/*/**/*.png")):
        corpus, *name = file.parent.relative_to(masks).parts
        if not hidden("/".join((corpus, *name, file.name))):
            found[plain(corpus), plain("/".join(name))] = file.parent
    return found


def _unfitting(masks: Path, theirs: str, pictures: Sequence[Picture]) -> Refused:
    corpus, image = pictures[0]
    names = dict.fromkeys(f"{corpus}/{name}" for name in (whole(image), stem(plain(image))))
    return Refused(
        f"--masks {masks}: of none of the run's pictures; it has {theirs}, the first picture of "
        f"the run would be {' or '.join(names)}, without suffix"
    )


def _gold(masks: Path) -> list[Mapping[str, Any]]:
    file = next(
        (f for f in (masks / "gold.jsonl", masks.parent / "gold.jsonl") if f.exists()), None
    )
    if file is None:
        return []
    rows = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            row = json.loads(line)
            _ = row["corpus"], row["image"], [m["concept"] for m in row["mentions"]]
        except (ValueError, KeyError, TypeError):
            raise Refused(f"{file}:{number}: no row with corpus, image and mentions") from None
        rows.append(row)
    return rows
