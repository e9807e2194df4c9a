"""PanopTILs: `rgbs/NAME.png`, `masks/NAME.png` and `csv/NAME.csv` of breast carcinomas.

Of a mask the first channel is the region, the second the class of the nucleus (super_codes of
configs/region_GTcodes.csv, NUCLEUS_CODES of configs/panoptic_model_configs.py in
PathologyDataScience/MuTILs_Panoptic); single nuclei are the outlines `coords_x`, `coords_y` of the
table. Published as .25 um per pixel, in truth about .30 (issue 18 there): see `nuclei_mpp`.
"""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np

from miner.corpora.corpus_folder import Folder
from miner.corpora.expert.nucls import polygons_of
from miner.corpora.expert.outlines import drawn
from miner.corpora.expert.stems import (
    Paired,
    picture_and_size,
    pictures_in,
    read_channels,
    tables_in,
)
from miner.corpora.expert.tile import (
    BadTile,
    Item,
    Outlined,
    Term,
    Tile,
    by_class,
    by_code,
    majority,
    read_file,
)

MPP = 0.25
REGIONS: Mapping[int, Term] = {
    1: Term("tumor", "tumor"),
    2: Term("stroma", "stroma"),
    3: Term("lymphocytic infiltrate", "lymphocytic infiltrate"),
    4: Term("epithelium", "normal epithelium"),
    5: Term("debris", "debris"),
    6: Term("blood", "blood"),
}
NUCLEI: Mapping[int, Term] = {
    1: Term("tumor cell", "tumor cells"),
    2: Term("stromal cell", "stromal cells"),
    3: Term("stromal cell", "stromal cells"),
    4: Term("lymphocyte", "lymphocytes"),
    5: Term("plasma cell", "plasma cells"),
    6: Term("epithelial cell", "normal epithelial cells"),
}
EXCLUDED = 0
BACKGROUND = 9


class PanopTILs(Paired):
    """Regions and nuclei."""

    expected = "rgbs/ and masks/ of PanopTILs"

    def __init__(self, folder: Folder):
        super().__init__(folder)
        self.tables = tables_in(self.names)

    def files(self) -> tuple[dict[str, str], dict[str, str]]:
        """See `Paired.files`."""
        return pictures_in(self.names, "rgbs"), pictures_in(self.names, "masks")

    def read(self, item: Item) -> Tile:
        """A region; see `Layout.read`."""
        picture, size = picture_and_size(self.folder, item.where[0])
        codes = read_channels(self.folder, item.where[1], size)
        if codes.ndim != 3 or codes.shape[2] < 2:
            raise BadTile("unreadable_mask")
        regions, types = codes[..., 0], codes[..., 1]
        labels, notes = self._nuclei(item, types)
        unknown = (regions == EXCLUDED) | (types == EXCLUDED)
        return Tile(
            picture,
            (
                Outlined("nucleus", "nuclei", labels),
                *by_class(labels, majority(labels, types), NUCLEI),
                *by_code(regions, REGIONS),
            ),
            unknown=unknown if unknown.any() else None,
            mpp=MPP,
            organ="breast",
            notes=notes,
        )

    def _nuclei(self, item: Item, types: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
        """Single nuclei, int32 (H, W), by the table; without one they are the separate parts."""
        table = self.tables.get(item.name)
        size = types.shape[0], types.shape[1]
        if table is None:
            there = ((types != EXCLUDED) & (types != BACKGROUND)).astype(np.uint8)
            parts = cv2.connectedComponents(there, connectivity=4)[1]
            return parts.astype(np.int32), ("no_table:1",)
        polygons = polygons_of(read_file(self.folder, table, "missing_masks"))
        labels, _, notes = drawn(polygons, size)
        return labels, notes
