"""BCSS: `rgbs_colorNormalized/NAME.png` (or `images/`, `rgbs/`) and `masks/NAME.png` of breast.

Values of a mask are codes of `meta/gtruth_codes.tsv` (label, GT_code); 0 is outside of what was
looked at, not another tissue (README of PathologyDataScience/BCSS). The name states the scale,
`..._MPP-0.2500`.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping

import numpy as np

from miner.corpora.corpus_folder import Folder
from miner.corpora.expert.stems import Paired, picture_and_size, pictures_in, read_codes
from miner.corpora.expert.tile import Item, Term, Tile, by_code

TERMS: Mapping[str, Term] = {
    "tumor": Term("tumor", "tumor"),
    "stroma": Term("stroma", "stroma"),
    "lymphocytic_infiltrate": Term("lymphocytic infiltrate", "lymphocytic infiltrate"),
    "necrosis_or_debris": Term("necrosis", "necrosis"),
    "glandular_secretions": Term("secretion", "secretion"),
    "blood": Term("blood", "blood"),
    "fat": Term("fat", "fat"),
    "mucoid_material": Term("mucin", "mucin"),
    "other_immune_infiltrate": Term("inflammation", "inflammatory infiltrate"),
    "nerve": Term("nerve", "nerve"),
    "blood_vessel": Term("blood vessel", "blood vessels"),
    "lymphatics": Term("lymphatic vessel", "lymphatic vessels"),
    "skin_adnexa": Term("skin adnexa", "skin adnexa"),
    "normal_acinus_or_duct": Term("duct", "normal ducts"),
    "dcis": Term("in situ component", "in situ component"),
}
# Codes of the published table, for a folder that lacks it.
CODES: Mapping[str, int] = {
    "outside_roi": 0,
    "tumor": 1,
    "stroma": 2,
    "lymphocytic_infiltrate": 3,
    "necrosis_or_debris": 4,
    "glandular_secretions": 5,
    "blood": 6,
    "exclude": 7,
    "metaplasia_NOS": 8,
    "fat": 9,
    "plasma_cells": 10,
    "other_immune_infiltrate": 11,
    "mucoid_material": 12,
    "normal_acinus_or_duct": 13,
    "lymphatics": 14,
    "undetermined": 15,
    "nerve": 16,
    "skin_adnexa": 17,
    "blood_vessel": 18,
    "angioinvasion": 19,
    "dcis": 20,
    "other": 21,
}
UNKNOWN = ("outside_roi", "exclude", "undetermined")
TABLE = "gtruth_codes.tsv"
_MPP = re.compile(r"MPP-(\d+\.\d+)")
_MPP_OF_NONE = 0.25


class BCSS(Paired):
    """Regions of breast carcinomas."""

    expected = "masks/ and rgbs_colorNormalized/ of BCSS"

    def __init__(self, folder: Folder):
        super().__init__(folder)
        self.codes = self._codes()

    def files(self) -> tuple[dict[str, str], dict[str, str]]:
        """See `Paired.files`."""
        pictures = pictures_in(self.names, "rgbs_colornormalized", "rgbs", "images")
        return pictures, pictures_in(self.names, "masks")

    def _codes(self) -> Mapping[str, int]:
        table = next((n for n in self.names if n.endswith(TABLE)), None)
        if table is None:
            return CODES
        try:
            text = io.StringIO(self.folder.read(table).decode("utf-8-sig"))
            return {
                row["label"]: int(row["GT_code"]) for row in csv.DictReader(text, delimiter="\t")
            }
        except (OSError, ValueError, KeyError, TypeError):
            self.problems.append(f"{table}: unreadable: the published codes are taken")
            return CODES

    def read(self, item: Item) -> Tile:
        """A region; see `Layout.read`."""
        picture, size = picture_and_size(self.folder, item.where[0])
        codes = read_codes(self.folder, item.where[1], size)
        terms = {self.codes[name]: term for name, term in TERMS.items() if name in self.codes}
        known = set(self.codes.values())
        unknown = np.isin(codes, [self.codes[n] for n in UNKNOWN if n in self.codes])
        strange = ~np.isin(codes, sorted(known))
        stated = _MPP.search(item.name)
        return Tile(
            picture,
            by_code(codes, terms),
            unknown=(unknown | strange) if (unknown | strange).any() else None,
            mpp=float(stated.group(1)) if stated else _MPP_OF_NONE,
            organ="breast",
            notes=(f"unknown_code_px:{int(strange.sum())}",) if strange.any() else (),
        )
