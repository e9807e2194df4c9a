"""Lizard and CoNSeP: PNG pictures with MATLAB files of the same stem.

Lizard's `Lizard_Labels/Labels/NAME.mat` has `inst_map`, and `id` and `class` of each nucleus
(Lizard_Labels/read_label.py, info.csv); pictures lie in `Lizard_Images1` and `2`, at 20x. CoNSeP's
`{Train,Test}/Labels/NAME.mat` has `inst_map` and `type_map` (README of the set), at 40x.
"""

from __future__ import annotations

import io
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
import scipy.io

from miner.core.errors import lacks_memory
from miner.corpora.corpus_folder import Folder
from miner.corpora.expert.stems import Paired, picture_and_size, pictures_in, stem_of
from miner.corpora.expert.tile import (
    BadTile,
    Item,
    Outlined,
    Term,
    Tile,
    by_class,
    majority,
    noted,
    ranked,
    read_file,
    split_ids,
    whole_numbers,
)

LIZARD: Mapping[int, Term] = {
    1: Term("neutrophil", "neutrophils"),
    2: Term("epithelial cell", "epithelial cells"),
    3: Term("lymphocyte", "lymphocytes"),
    4: Term("plasma cell", "plasma cells"),
    5: Term("eosinophil", "eosinophils"),
    6: Term("stromal cell", "connective tissue cells"),
}
CONSEP: Mapping[int, Term] = {
    1: Term(None, "other cells"),
    2: Term("inflammatory cell", "inflammatory cells"),
    3: Term("epithelial cell", "healthy epithelial cells"),
    4: Term("tumor cell", "malignant epithelial cells"),
    5: Term("fibroblast", "fibroblasts"),
    6: Term("smooth muscle cell", "muscle cells"),
    7: Term("endothelial cell", "endothelial cells"),
}
_V73 = b"MATLAB 7.3"


class _Matlab(Paired):
    """Pictures beside MATLAB files of the same stem."""

    expected = "pictures, and .mat files of their stems"
    terms: Mapping[int, Term]
    mpp: float

    def files(self) -> tuple[dict[str, str], dict[str, str]]:
        """See `Paired.files`; CoNSeP's overlays are pictures of no tissue."""
        overlays = [n for n in self.names if "overlay" not in n.lower()]
        maps = {stem_of(n): n for n in self.names if n.endswith(".mat")}
        return pictures_in(overlays), maps

    def read(self, item: Item) -> Tile:
        """A picture; see `Layout.read`."""
        name, maps = item.where
        if maps is None:
            raise BadTile("missing_masks")
        found = read_mat(read_file(self.folder, maps, "missing_masks"))
        if not isinstance(found.get("inst_map"), np.ndarray):
            raise BadTile("damaged_mat")
        picture, size = picture_and_size(self.folder, name)
        ids = whole_numbers(found["inst_map"])
        if ids.shape != size:
            raise BadTile("another_size")
        labels = ranked(ids)
        codes = self.codes(found, ids, labels)
        unclassed = int(np.count_nonzero(~np.isin(codes, list(self.terms))))
        return Tile(
            picture,
            (Outlined("nucleus", "nuclei", labels), *by_class(labels, codes, self.terms)),
            mpp=self.mpp,
            organ="colon",
            notes=noted(unclassed_ids=unclassed, split_ids=split_ids(labels)),
        )

    @abstractmethod
    def codes(self, found: Mapping[str, Any], ids: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Class of each object, int64 (n,)."""


class Lizard(_Matlab):
    """Nuclei of the colon at 20x."""

    terms, mpp = LIZARD, 0.5

    def codes(self, found: Mapping[str, Any], ids: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """By the tables `id` and `class`."""
        try:
            told = whole_numbers(found["id"]).ravel()
            classes = whole_numbers(found["class"]).ravel()
        except KeyError:
            raise BadTile("damaged_mat") from None
        if len(told) != len(classes):
            raise BadTile("damaged_mat")
        table = dict(zip(told.tolist(), classes.tolist(), strict=True))
        return np.array([table.get(i, 0) for i in np.unique(ids[ids > 0]).tolist()], np.int64)


class CoNSeP(_Matlab):
    """Nuclei of colorectal adenocarcinomas at 40x."""

    terms, mpp = CONSEP, 0.25

    def codes(self, found: Mapping[str, Any], ids: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """By most pixels of the map of types."""
        types = found.get("type_map")
        if not isinstance(types, np.ndarray) or types.shape != labels.shape:
            raise BadTile("damaged_mat")
        return majority(labels, whole_numbers(types))


def read_mat(data: bytes) -> dict[str, Any]:
    """Variables of a MATLAB file up to version 7.2.

    Raises:
        BadTile: `mat_v7_3`: HDF5, as MATLAB saves what is large; `damaged_mat`.
    """
    if data[: len(_V73)] == _V73:
        raise BadTile("mat_v7_3")
    try:
        return scipy.io.loadmat(io.BytesIO(data))
    except Exception as error:  # whatever damage makes of the parser
        if lacks_memory(error):
            raise
        raise BadTile("damaged_mat") from None


def has(variable: str, folder: Folder, names: list[str]) -> bool:
    """Whether the first MATLAB file has a variable."""
    first = next((n for n in sorted(names) if n.endswith(".mat")), None)
    if first is None:
        return False
    try:
        return variable in read_mat(folder.read(first))
    except (BadTile, OSError):
        return False
