"""SegPath: `NAME_HE.png` with `NAME_mask.png`, what one antibody marks in the restained section.

The antibody is the first part of the name or of a folder (`panCK_Epithelium`, ...), as in
torch_em/data/datasets/histopathology/segpath.py. Masks do not tell cells apart, and what the
antibody marks is all that is known of a picture. At 40x, .22 um per pixel.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from miner.core.errors import Refused
from miner.core.names import plain
from miner.corpora.corpus_folder import Folder
from miner.corpora.expert.stems import joined, picture_and_size, read_codes, stem_of
from miner.corpora.expert.tile import BadTile, Item, Layout, Outlined, Term, Tile

MPP = 0.22
MARKED: Mapping[str, Term] = {
    "panck_epithelium": Term("epithelium", "epithelium"),
    "asma_smoothmuscle": Term("smooth muscle", "smooth muscle"),
    "cd235a_rbc": Term("red blood cell", "red blood cells"),
    "cd45rb_leukocyte": Term("inflammatory cell", "leukocytes"),
    "cd3cd20_lymphocyte": Term("lymphocyte", "lymphocytes"),
    "erg_endothelium": Term("endothelial cell", "endothelial cells"),
    "mist1_plasmacell": Term("plasma cell", "plasma cells"),
    "mnda_myeloidcell": Term(None, "myeloid cells"),
}
_PICTURE, _MASK = "_HE.png", "_mask.png"


class SegPath(Layout):
    """Pictures with what an antibody marks.

    Raises:
        Refused: there is no `*_HE.png`.
    """

    def __init__(self, folder: Folder):
        self.folder = folder
        self.problems: list[str] = []
        names = sorted(folder.walk())
        pictures = {stem_of(n)[: -len("_HE")]: n for n in names if n.endswith(_PICTURE)}
        masks = {stem_of(n)[: -len("_mask")]: n for n in names if n.endswith(_MASK)}
        if not pictures:
            raise Refused(f"{folder.field}: {folder.url}: no *_HE.png of SegPath in it")
        self.items = joined(pictures, masks, self.problems)

    def read(self, item: Item) -> Tile:
        """A picture; see `Layout.read`."""
        name, mask = item.where
        place = plain(name).lower()
        term = next((t for antibody, t in MARKED.items() if antibody in place), None)
        if term is None or term.concept is None:
            raise BadTile("unknown_class")
        picture, size = picture_and_size(self.folder, name)
        marked = (read_codes(self.folder, mask, size) > 0).astype(np.int32)
        return Tile(picture, (Outlined(term.concept, term.phrase, marked, apart=False),), mpp=MPP)
