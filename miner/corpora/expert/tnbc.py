"""TNBC: `Slide_XX/XX_Y.png` with `GT_XX/XX_Y.png`, nuclei of triple-negative breast carcinomas.

The masks are black and white, so nuclei that touch are one. A patient per slide, at 40x. From
torch_em/data/datasets/histopathology/tnbc.py (Zenodo 1175282).
"""

from __future__ import annotations

import re

import cv2
import numpy as np

from miner.core.names import plain
from miner.corpora.corpus_folder import Folder
from miner.corpora.expert.stems import Paired, picture_and_size, read_codes, stem_of
from miner.corpora.expert.tile import Item, Outlined, Tile

MPP = 0.25
_SLIDE = re.compile(r"(?:^|/)Slide_(\w+)/[^/]+\.png$", re.IGNORECASE)
_TRUTH = re.compile(r"(?:^|/)GT_(\w+)/[^/]+\.png$", re.IGNORECASE)


class TNBC(Paired):
    """Nuclei."""

    expected = "Slide_XX/ and GT_XX/ of TNBC"

    def __init__(self, folder: Folder):
        super().__init__(folder)
        self.items = [
            item._replace(group=f"slide-{found.group(1)}" if found else item.name)
            for item in self.items
            for found in [_SLIDE.search(plain(item.where[0]))]
        ]

    def files(self) -> tuple[dict[str, str], dict[str, str]]:
        """See `Paired.files`."""
        pictures = {stem_of(n): n for n in self.names if _SLIDE.search(plain(n))}
        return pictures, {stem_of(n): n for n in self.names if _TRUTH.search(plain(n))}

    def read(self, item: Item) -> Tile:
        """A picture; see `Layout.read`."""
        picture, size = picture_and_size(self.folder, item.where[0])
        there = (read_codes(self.folder, item.where[1], size) > 0).astype(np.uint8)
        labels = cv2.connectedComponents(there, connectivity=4)[1].astype(np.int32)
        return Tile(picture, (Outlined("nucleus", "nuclei", labels),), mpp=MPP, organ="breast")
