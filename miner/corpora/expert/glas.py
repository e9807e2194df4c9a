"""GlaS: `NAME.bmp` with `NAME_anno.bmp`, single glands of the colon, and `Grade.csv`.

The table's columns are `name`, `patient ID`, ` grade (GlaS)` and
` grade (Sirinukunwattana et al. 2015)`, with blanks before most cells. At 20x, .62 um per pixel.
From torch_em/data/datasets/histopathology/glas.py and readers of the contest's participants.
"""

from __future__ import annotations

import csv
import io

from miner.corpora.corpus_folder import Folder
from miner.corpora.expert.stems import Paired, picture_and_size, read_codes, stem_of
from miner.corpora.expert.tile import Item, Outlined, Tile, noted, ranked, split_ids

MPP = 0.62
TABLE = "grade.csv"
_MASK = "_anno"


class GlaS(Paired):
    """Glands of the colon."""

    expected = "*.bmp and *_anno.bmp of GlaS"

    def __init__(self, folder: Folder):
        super().__init__(folder)
        self.grades = self._grades()
        self.items = [
            item._replace(group=self.grades.get(item.name, {}).get("patient ID") or item.name)
            for item in self.items
        ]

    def files(self) -> tuple[dict[str, str], dict[str, str]]:
        """See `Paired.files`."""
        bitmaps = {stem_of(n): n for n in self.names if n.lower().endswith(".bmp")}
        masks = {s[: -len(_MASK)]: n for s, n in bitmaps.items() if s.endswith(_MASK)}
        return {s: n for s, n in bitmaps.items() if not s.endswith(_MASK)}, masks

    def _grades(self) -> dict[str, dict[str, str]]:
        """Cells of the table by name of the picture."""
        table = next((n for n in self.names if n.lower().endswith(TABLE)), None)
        if table is None:
            self.problems.append("no Grade.csv: patients and grades unknown")
            return {}
        try:
            rows = list(csv.DictReader(io.StringIO(self.folder.read(table).decode("utf-8-sig"))))
        except (OSError, UnicodeDecodeError, csv.Error):
            self.problems.append(f"{table}: unreadable: patients and grades unknown")
            return {}
        cells = [{k.strip(): (v or "").strip() for k, v in row.items() if k} for row in rows]
        return {row.get("name", ""): row for row in cells}

    def read(self, item: Item) -> Tile:
        """A picture; see `Layout.read`."""
        picture, size = picture_and_size(self.folder, item.where[0])
        labels = ranked(read_codes(self.folder, item.where[1], size))
        grade = self.grades.get(item.name, {}).get("grade (GlaS)", "")
        return Tile(
            picture,
            (Outlined("gland", "glands", labels),),
            mpp=MPP,
            organ="colon",
            meta={"diagnosis": grade} if grade else {},
            notes=noted(split_ids=split_ids(labels)),
        )
