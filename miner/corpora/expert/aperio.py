"""MoNuSeg and MoNuSAC: pictures with the outlines of nuclei as Aperio's XML.

`Annotations/Annotation/Regions/Region/Vertices/Vertex` with X and Y in px of the picture, which is
the TIFF of the same stem, for some of MoNuSAC's test set only an SVS. MoNuSeg has `Tissue Images/`
and `Annotations/`, or both in one folder; MoNuSAC a folder per patient, and the class of a nucleus
in `Annotation/Attributes/Attribute/@Name`. From torch_em/data/datasets/histopathology (monuseg.py,
monusac.py) and the readers of both challenges' participants. Both at 40x.
"""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree import ElementTree

import numpy as np

from miner.core.pixels import encode
from miner.corpora.corpus_folder import Folder
from miner.corpora.expert.outlines import drawn
from miner.corpora.expert.stems import Paired, picture_and_size, pictures_in, stem_of
from miner.corpora.expert.tile import (
    BadTile,
    Item,
    Outlined,
    Term,
    Tile,
    by_class,
    read_file,
)

MPP = 0.25
CLASSES: Mapping[str, Term] = {
    "epithelial": Term("epithelial cell", "epithelial cells"),
    "lymphocyte": Term("lymphocyte", "lymphocytes"),
    "macrophage": Term("macrophage", "macrophages"),
    "neutrophil": Term("neutrophil", "neutrophils"),
}
AMBIGUOUS = "ambiguous"


class _Aperio(Paired):
    """Pictures beside XML of the same stem."""

    expected = "pictures, and XML of outlines"

    def files(self) -> tuple[dict[str, str], dict[str, str]]:
        """See `Paired.files`; a slide of which there is a picture, too, is not opened."""
        outlines = {stem_of(n): n for n in self.names if n.lower().endswith(".xml")}
        slides = {stem_of(n): n for n in self.names if n.lower().endswith(".svs")}
        return slides | pictures_in(self.names), outlines

    def _polygons(self, item: Item) -> list[tuple[str, np.ndarray]]:
        """Class, "" where none is told, and points of every outline."""
        name = item.where[1]
        if name is None:
            raise BadTile("missing_masks")
        return read_polygons(read_file(self.folder, name, "missing_masks"))

    def _picture(self, item: Item) -> tuple[bytes, tuple[int, int]]:
        name = item.where[0]
        if not name.lower().endswith(".svs"):
            return picture_and_size(self.folder, name)
        pixels = _slide(self.folder, name)
        return encode(pixels, "png"), (pixels.shape[0], pixels.shape[1])


class MoNuSeg(_Aperio):
    """Nuclei of several organs."""

    def read(self, item: Item) -> Tile:
        """A picture; see `Layout.read`."""
        polygons = [points for _, points in self._polygons(item)]
        picture, size = self._picture(item)
        labels, _, notes = drawn(polygons, size)
        return Tile(picture, (Outlined("nucleus", "nuclei", labels),), mpp=MPP, notes=notes)


class MoNuSAC(_Aperio):
    """Nuclei of four classes; those of stroma are not outlined, ambiguous areas are unknown."""

    def read(self, item: Item) -> Tile:
        """A picture; see `Layout.read`."""
        polygons = self._polygons(item)
        picture, size = self._picture(item)
        labels, kept, notes = drawn([points for _, points in polygons], size)
        known = list(CLASSES)
        said = [polygons[i][0].lower() for i in kept]
        codes = np.array([known.index(c) if c in known else -1 for c in said], int)
        unknown = np.isin(labels, 1 + np.flatnonzero(codes < 0))
        others = sum(c not in known and c != AMBIGUOUS for c in said)
        return Tile(
            picture,
            by_class(labels, codes, dict(enumerate(CLASSES.values()))),
            unknown=unknown if unknown.any() else None,
            mpp=MPP,
            notes=(*notes, *((f"unknown_class:{others}",) if others else ())),
        )


def read_polygons(data: bytes) -> list[tuple[str, np.ndarray]]:
    """Class and points, float (k, 2), of the outlines of an XML file.

    Raises:
        BadTile: `malformed_xml`.
    """
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise BadTile("malformed_xml")
    try:
        root = ElementTree.fromstring(data)
        found = []
        for annotation in root.iter("Annotation"):
            named = [a.get("Name", "") for a in annotation.iter("Attribute")]
            for region in annotation.iter("Region"):
                points = [
                    (float(v.get("X", "")), float(v.get("Y", ""))) for v in region.iter("Vertex")
                ]
                found.append((named[0] if named else "", np.array(points, float).reshape(-1, 2)))
    except (ElementTree.ParseError, ValueError):
        raise BadTile("malformed_xml") from None
    return found


def has_classes(folder: Folder, names: list[str]) -> bool:
    """Whether the first XML names classes, as MoNuSAC's do."""
    first = next((n for n in sorted(names) if n.lower().endswith(".xml")), None)
    if first is None:
        return False
    try:
        said = {name.lower() for name, _ in read_polygons(folder.read(first))}
    except (BadTile, OSError):
        return False
    return bool(said & {*CLASSES, AMBIGUOUS})


def _slide(folder: Folder, name: str) -> np.ndarray:
    """All of a small SVS, uint8 (H, W, 3)."""
    import openslide

    if not folder.local:
        raise BadTile("missing_image")
    try:
        with openslide.OpenSlide(folder.path(name)) as slide:
            region = slide.read_region((0, 0), 0, slide.dimensions)
    except openslide.OpenSlideError:
        raise BadTile("slide_failed") from None
    return np.asarray(region.convert("RGB"))
