"""SegPath: `NAME_HE.png` with `NAME_mask.png`, what one antibody marks in the restained section.

The antibody is the first part of the name or of a folder (`panCK_Epithelium`, ...), as in
torch_em/data/datasets/histopathology/segpath.py. Masks do not tell cells apart, and what the
antibody marks is all that is known of a picture. At 40x, .22 um per pixel.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from miner.core.names import plain
from miner.corpora.expert.stems import Paired, picture_and_size, read_codes, stem_of
from miner.corpora.expert.tile import BadTile, Item, Outlined, Term, Tile

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


class SegPath(Paired):
    """Pictures with what an antibody marks."""

    expected = "*_HE.png and *_mask.png of SegPath"

    def files(self) -> tuple[dict[str, str], dict[str, str]]:
        """See `Paired.files`."""
        pictures = {stem_of(n)[: -len("_HE")]: n for n in self.names if n.endswith(_PICTURE)}
        masks = {stem_of(n)[: -len("_mask")]: n for n in self.names if n.endswith(_MASK)}
        return pictures, masks

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
