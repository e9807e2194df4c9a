"""TNBC: `Slide_XX/XX_Y.png` with `GT_XX/XX_Y.png`, nuclei of triple-negative breast carcinomas.

The masks are black and white, so nuclei that touch are one. A patient per slide, at 40x. From
torch_em/data/datasets/histopathology/tnbc.py (Zenodo 1175282).
"""

from __future__ import annotations

import re

import cv2
import numpy as np

from miner.core.errors import Refused
from miner.core.names import plain
from miner.corpora.corpus_folder import Folder
from miner.corpora.expert.stems import joined, picture_and_size, read_codes, stem_of
from miner.corpora.expert.tile import Item, Layout, Outlined, Tile

MPP = 0.25
_SLIDE = re.compile(r"(?:^|/)Slide_(\w+)/[^/]+\.png$", re.IGNORECASE)
_TRUTH = re.compile(r"(?:^|/)GT_(\w+)/[^/]+\.png$", re.IGNORECASE)


class TNBC(Layout):
    """Nuclei.

    Raises:
        Refused: there is no `Slide_XX/` or no `GT_XX/`.
    """

    def __init__(self, folder: Folder):
        self.folder = folder
        self.problems: list[str] = []
        names = sorted(folder.walk())
        pictures = {stem_of(n): n for n in names if _SLIDE.search(plain(n))}
        masks = {stem_of(n): n for n in names if _TRUTH.search(plain(n))}
        if not pictures or not masks:
            raise Refused(f"{folder.field}: {folder.url}: expected Slide_XX/ and GT_XX/ of TNBC")
        self.items = [
            item._replace(group=f"slide-{found.group(1)}" if found else item.name)
            for item in joined(pictures, masks, self.problems)
            for found in [_SLIDE.search(plain(item.where[0]))]
        ]

    def read(self, item: Item) -> Tile:
        """A picture; see `Layout.read`."""
        picture, size = picture_and_size(self.folder, item.where[0])
        there = (read_codes(self.folder, item.where[1], size) > 0).astype(np.uint8)
        labels = cv2.connectedComponents(there, connectivity=4)[1].astype(np.int32)
        return Tile(picture, (Outlined("nucleus", "nuclei", labels),), mpp=MPP, organ="breast")
