"""NuCLS: `rgb/NAME.png` and `csv/NAME.csv` with a row per nucleus of breast carcinomas.

Columns raw_classification, main_classification, super_classification, type (polyline, or rectangle
where only a box was drawn), xmin, ymin, xmax, ymax, and coords_x, coords_y with the outline as
numbers between commas; all at .2 um per pixel. From the README of
MachineVisionTeam/NuCLS-Dataset-Organization and the set's own site.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

import numpy as np

from miner.corpora.expert.outlines import drawn
from miner.corpora.expert.stems import Paired, picture_and_size, pictures_in, tables_in
from miner.corpora.expert.tile import (
    BadTile,
    Item,
    Outlined,
    Term,
    Tile,
    by_class,
    read_file,
)

MPP = 0.2
COORDINATES = ("coords_x", "coords_y")
TERMS: Mapping[str, Term] = {
    "tumor": Term("tumor cell", "tumor cells"),
    "fibroblast": Term("fibroblast", "fibroblasts"),
    "lymphocyte": Term("lymphocyte", "lymphocytes"),
    "plasma_cell": Term("plasma cell", "plasma cells"),
    "macrophage": Term("macrophage", "macrophages"),
    "mitotic_figure": Term("mitotic figure", "mitotic figures"),
    "vascular_endothelium": Term("endothelial cell", "endothelial cells"),
    "myoepithelium": Term("myoepithelial cell", "myoepithelial cells"),
    "apoptotic_body": Term("apoptotic body", "apoptotic bodies"),
    "neutrophil": Term("neutrophil", "neutrophils"),
    "ductal_epithelium": Term("ductal epithelial cell", "ductal epithelial cells"),
    "eosinophil": Term("eosinophil", "eosinophils"),
}
# A class of which more nuclei have but a box has no mask: it would leave these out.
MOST_BOXES = 0.1


class NuCLS(Paired):
    """Fields of view with boxes and outlines."""

    expected = "rgb/ and csv/ of NuCLS"

    def files(self) -> tuple[dict[str, str], dict[str, str]]:
        """See `Paired.files`."""
        return pictures_in(self.names, "rgb"), tables_in(self.names)

    def read(self, item: Item) -> Tile:
        """A field; see `Layout.read`."""
        name, table = item.where
        if table is None:
            raise BadTile("missing_masks")
        rows = _rows(read_file(self.folder, table, "missing_masks"))
        picture, size = picture_and_size(self.folder, name)
        boxes = [row for row in rows if row["type"] != "polyline"]
        lines = [row for row in rows if row["type"] == "polyline"]
        labels, kept, notes = drawn([_points(row) for row in lines], size)
        known = list(TERMS)
        codes = np.array([_code(lines[i], known) for i in kept], int)
        unknown = _boxed(boxes, size)
        outlined = by_class(labels, codes, dict(enumerate(TERMS.values())))
        told = tuple(one for one in outlined if _told(one, boxes))
        return Tile(
            picture,
            told,
            unknown=unknown if unknown.any() else None,
            mpp=MPP,
            organ="breast",
            notes=(*notes, *((f"boxes_only:{len(boxes)}",) if boxes else ())),
        )


def _rows(data: bytes) -> list[dict[str, str]]:
    """Rows of the table; raises `BadTile`."""
    wanted = ("raw_classification", "type", "xmin", "ymin", "xmax", "ymax")
    return table_rows(data, (*wanted, *COORDINATES))


def table_rows(data: bytes, wanted: Sequence[str]) -> list[dict[str, str]]:
    """Rows of a CSV file that has these columns.

    Raises:
        BadTile: `malformed_csv`.
    """
    try:
        rows = list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"))))
    except (UnicodeDecodeError, csv.Error):
        raise BadTile("malformed_csv") from None
    if any(row.get(column) is None for row in rows for column in wanted):
        raise BadTile("malformed_csv")
    return rows


def polygons_of(data: bytes) -> list[np.ndarray]:
    """Outlines of a table, float (k, 2) each, empty where one is none; raises `BadTile`."""
    return [_points(row) for row in table_rows(data, COORDINATES)]


def _code(row: Mapping[str, str], known: list[str]) -> int:
    name = row["raw_classification"]
    return known.index(name) if name in known else -1


def _points(row: Mapping[str, str]) -> np.ndarray:
    """Outline, float (k, 2), empty where it is none."""
    try:
        xs, ys = ([float(v) for v in row[c].split(",")] for c in COORDINATES)
        return np.array([xs, ys], float).T
    except ValueError:
        return np.zeros((0, 2))


def _boxed(boxes: list[dict[str, str]], size: tuple[int, int]) -> np.ndarray:
    """Where nuclei have but a box, bool (H, W); boxes that reach out of the picture are cut."""
    unknown = np.zeros(size, bool)
    for row in boxes:
        try:
            x1, y1, x2, y2 = (int(float(row[c])) for c in ("xmin", "ymin", "xmax", "ymax"))
        except ValueError:
            continue
        unknown[max(y1, 0) : max(y2, 0), max(x1, 0) : max(x2, 0)] = True
    return unknown


def _told(one: Outlined, boxes: list[dict[str, str]]) -> bool:
    """Whether enough of a class is outlined."""
    name = next(name for name, term in TERMS.items() if term.concept == one.concept)
    alone = sum(row["raw_classification"] == name for row in boxes)
    return alone <= MOST_BOXES * (alone + int(one.labels.max(initial=0)))
