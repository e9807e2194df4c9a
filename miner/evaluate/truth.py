"""What experts say: label maps by picture and concept, and the gold beside them."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from miner.core.errors import Refused
from miner.core.names import map_name, stem
from miner.corpora.corpus_folder import Folder
from miner.corpora.expert.layouts import layout_of, open_layout
from miner.corpora.expert.tile import BadTile


class Truth:
    """Label maps `<corpus>/<image stem or wsi_x_y>/<entity>.png`, and `gold.jsonl`.

    Args:
        masks: folder of the label maps. A `gold.jsonl` in or above it has a row per caption:
            corpus, image, caption, mentions; one with `present: false` says that a concept is not
            in the picture.

    Attributes:
        gold: its rows, empty without one.

    Raises:
        Refused: no label maps there, or the gold cannot be read.
    """

    def __init__(self, masks: Path):
        if not masks.is_dir() or not any(masks.glob("*/*/*.png")):
            raise Refused(f"--masks {masks}: no <corpus>/<image>/<entity>.png in it")
        self.masks = masks
        self.gold = _gold(masks)
        self._absent = {
            (row["corpus"], stem(row["image"]), mention["concept"])
            for row in self.gold
            for mention in row["mentions"]
            if mention.get("present") is False
        }

    def labels(self, corpus: str, image: str, concept: str) -> np.ndarray | None:
        """Label map of a concept in a picture, int (H, W), 0 background; None without one."""
        file = self._file(corpus, image, concept)
        if not file.exists():
            return None
        found = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
        if found is None or found.ndim != 2:
            raise Refused(f"{file}: no label map; a picture of one channel is expected")
        return np.asarray(found)

    def outlined(self, corpus: str, image: str, concept: str) -> bool:
        """Whether experts outlined the concept in the picture."""
        return self._file(corpus, image, concept).exists()

    def absent(self, corpus: str, image: str, concept: str) -> bool:
        """Whether the gold says that the concept is not in the picture."""
        return (corpus, stem(image), concept) in self._absent

    def _file(self, corpus: str, image: str, concept: str) -> Path:
        return self.masks / corpus / stem(image) / f"{map_name(concept)}.png"


class SetTruth(Truth):
    """An annotated set as published, for pictures that were mined from it under their names.

    Args:
        masks: folder of the set.
        layout: its layout's name, see `miner.corpora.expert.layouts.layout_of`.
    """

    def __init__(self, masks: Path, layout: str):
        self.masks = masks
        self.gold = []
        self._layout = open_layout(Folder(str(masks), "--masks"), layout)
        self._items = {item.name: item for item in self._layout.items}
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


def truth_of(masks: Path) -> Truth:
    """What experts say, in label maps or in an annotated set as published.

    Raises:
        Refused: neither is there.
    """
    layout = layout_of(Folder(str(masks), "--masks")) if masks.is_dir() else None
    return Truth(masks) if layout is None else SetTruth(masks, layout)


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
