"""Labelled tiles: pictures of which it is known where something is.

Three layouts are read: a folder with `index.jsonl` (one row per tile, label maps per entity), a
folder of corpora as published with `expert_masks/<corpus>/<image>/<entity>.png` beside them, and
plain `images/` with `masks/<entity>/`. Label maps are PNGs, 0 background.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from miner.core.errors import Refused
from miner.core.names import map_concept
from ner.concepts import concepts

FOLDS = 5

# Names of label maps that training sets have beside those of `miner.core.names`.
ENTITIES: Mapping[str, str] = {
    "tumor_nuclei": "tumor cell",
    "tumor_region": "tumor",
    "inflammatory_nuclei": "inflammatory cell",
}
# What a tile of one tissue certainly does not show, by the publisher's class.
ABSENT: Mapping[str, tuple[str, ...]] = {
    "ADI": ("gland", "necrosis", "mucin", "lymphocyte", "lymphocytic infiltrate", "epithelium"),
    "MUC": ("gland", "fat", "epithelium", "muscle", "lymphocytic infiltrate"),
    "MUS": ("gland", "fat", "epithelium", "mucin", "lymphocytic infiltrate"),
    "STR": ("gland", "fat", "epithelium", "mucin", "lymphocytic infiltrate"),
    "LYM": ("gland", "fat", "epithelium", "mucin", "muscle", "stroma"),
    "TUM": ("fat", "mucin", "muscle"),
    "human_brain": ("gland", "epithelium", "stroma", "fat", "muscle", "mucin"),
    "human_cerebellum": ("gland", "epithelium", "stroma", "fat", "muscle", "mucin"),
    "human_liver": ("gland", "muscle", "mucin", "stroma", "lymphocytic infiltrate"),
    "human_spleen": ("gland", "epithelium", "fat", "mucin"),
    "mouse_heart": ("gland", "epithelium", "mucin", "lymphocytic infiltrate"),
    "mouse_muscle_tibia": ("gland", "epithelium", "mucin", "lymphocytic infiltrate"),
    "mouse_liver": ("gland", "muscle", "mucin", "stroma", "lymphocytic infiltrate"),
    "mouse_spleen": ("gland", "epithelium", "fat", "mucin"),
    "mouse_thymus": ("gland", "fat", "mucin", "muscle"),
    "human_umbilical_cord": ("gland", "epithelium", "fat", "lymphocytic infiltrate"),
}
IMAGES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp")


@dataclasses.dataclass(frozen=True)
class Truth:
    """One concept of a tile.

    Attributes:
        labels: int32 (H, W), 0 background, 1..n objects, or 1 for a region.
        exhaustive: whether everything outside is known to be something else.
        unknown: bool (H, W), where it is not known, None where it is known everywhere.
    """

    labels: np.ndarray
    exhaustive: bool
    unknown: np.ndarray | None = None


@dataclasses.dataclass(frozen=True)
class Labelled:
    """A picture and what is known of it.

    Attributes:
        name: unique.
        source: data set, e.g. "tnbc" or "phantoms".
        group: patient or slide; tiles of one group are never on both sides of a split.
        image: uint8 (H, W, 3), RGB.
        mpp: um per pixel, None when unknown.
        truth: by canonical concept name.
        complete: whether concepts that phantoms can show and `truth` lacks are surely absent.
        site: organ, or None.
        kept: neither the agreement model nor the embedded segmenters were trained on its patient.
        absent: concepts that are surely not there, beside what `complete` says.
    """

    name: str
    source: str
    group: str
    image: np.ndarray
    mpp: float | None
    truth: Mapping[str, Truth]
    complete: bool = False
    site: str | None = None
    kept: bool = False
    absent: tuple[str, ...] = ()

    @property
    def fold(self) -> int:
        """0..FOLDS-1, a function of the group's name only."""
        digest = hashlib.sha256(f"{self.source}/{self.group}".encode()).digest()
        return int.from_bytes(digest[:4], "big") % FOLDS


def concept_of(entity: str) -> str | None:
    """Canonical concept of a label map's name, None when the table has none."""
    name = ENTITIES.get(entity) or map_concept(entity.lower())
    table = concepts()
    if name in table:
        return name
    return next((c.name for c in table.values() if name in c.forms), None)


def read_folders(folders: Sequence[str | os.PathLike[str]]) -> Iterator[Labelled]:
    """Labelled tiles of folders in any of the three layouts, in a fixed order.

    A picture of which several folders with an index know something is one tile.

    Raises:
        Refused: no such folder, or none of the layouts.
    """
    roots = [Path(folder) for folder in folders]
    indexed = [root for root in roots if (root / "index.jsonl").is_file()]
    if indexed:
        yield from _indexed(indexed)
    for root in roots:
        if root not in indexed:
            yield from read_folder(root)


def read_folder(folder: str | os.PathLike[str]) -> Iterator[Labelled]:
    """Labelled tiles of one folder; see `read_folders`."""
    root = Path(folder)
    if not root.is_dir():
        raise Refused(f"--masks {folder}: no such folder")
    if (root / "index.jsonl").is_file():
        return _indexed([root])
    if (root / "expert_masks").is_dir():
        return _published(root)
    if (root / "images").is_dir() and (root / "masks").is_dir():
        return _plain(root)
    raise Refused(
        f"--masks {folder}: expected index.jsonl, expert_masks/ beside corpora, or images/ and "
        "masks/<entity>/"
    )


def phantoms(
    count: int,
    seed: int,
    side_px: int = 384,
    organs: Sequence[str] | None = None,
) -> Iterator[Labelled]:
    """Fresh phantom tiles of every organ in turn.

    Args:
        count: how many.
        seed: of all of them; other seeds give other tiles.
        side_px: side of a tile.
        organs: shown in turn; all when None.
    """
    from miner.demo import render

    shown = list(organs or render.ORGANS)
    for i in range(count):
        rng = np.random.default_rng([seed, i])
        mpp = float(np.exp(rng.uniform(np.log(0.2), np.log(0.8))))
        organ = shown[i % len(shown)]
        tile = render.tile(rng, side_px, mpp, organ)
        truth = {
            name: Truth(labels, True)
            for entity, labels in tile.labels.items()
            if (name := concept_of(entity)) is not None
        }
        group = f"{seed}-{i}"
        yield Labelled(f"phantoms/{group}", "phantoms", group, tile.image, mpp, truth, True, organ)


def phantom_concepts() -> frozenset[str]:
    """Concepts whose absence from a phantom's truth means that it is not there."""
    from miner.demo import render

    names = (concept_of(entity) for entity in render.ENTITIES)
    return frozenset(name for name in names if name is not None)


def _indexed(roots: Sequence[Path]) -> Iterator[Labelled]:
    from segmenters.training.regions.rows import read

    for row in read(roots):
        unknown = None if row.ignore is None else _labels(row.ignore) > 0
        truth = {}
        for entity, known in sorted(row.entities.items()):
            name = concept_of(entity)
            if name is not None:
                hidden = unknown if entity in row.ignored else None
                truth[name] = Truth(_labels(known.mask), known.exhaustive, hidden)
        truth |= _cytoplasm(truth)
        absent = tuple(name for name in ABSENT.get(row.code or "", ()) if name not in truth)
        yield Labelled(
            row.id,
            row.source,
            row.group,
            _picture(row.file),
            row.mpp,
            truth,
            site=row.organ,
            kept=row.kept,
            absent=absent,
        )


def _cytoplasm(truth: Mapping[str, Truth]) -> dict[str, Truth]:
    """Cytoplasm where epithelium and all nuclei are outlined: what lies between them."""
    tissue, nuclei = truth.get("epithelium"), truth.get("nucleus")
    if tissue is None or nuclei is None or not (tissue.exhaustive and nuclei.exhaustive):
        return {}
    between = (tissue.labels > 0) & (nuclei.labels == 0)
    return {"cytoplasm": Truth(between.astype(np.int32), True, tissue.unknown)}


def _published(root: Path) -> Iterator[Labelled]:
    files = {
        path.stem: path
        for corpus in ("quilt", "pathcap", "pathgen")
        for path in sorted((root / corpus).glob("images/*"))
        if path.suffix.lower() in IMAGES
    }
    for folder in sorted((root / "expert_masks").glob("*/*")):
        truth = {
            name: Truth(_labels(path), True)
            for path in sorted(folder.glob("*.png"))
            if (name := concept_of(path.stem)) is not None
        }
        if not truth:
            continue
        size = next(iter(truth.values())).labels.shape
        if folder.name in files:
            picture, mpp = _picture(files[folder.name]), None
        else:
            picture, mpp = _patch(root / "pathgen" / "slides", folder.name, size)
        if picture.shape[:2] == size:
            group = folder.name.rsplit("_", 2)[0]
            yield Labelled(folder.name, folder.parent.name, group, picture, mpp, truth)


def _patch(slides: Path, name: str, size: tuple[int, ...]) -> tuple[np.ndarray, float | None]:
    """A patch `{wsi_id}_{x}_{y}` at level 0 and its um per pixel."""
    import openslide

    wsi, x, y = name.rsplit("_", 2)
    path = next(iter(sorted(slides.glob(f"{wsi}.*"))), None)
    if path is None:
        raise Refused(f"--masks {slides}: no slide {wsi}")
    with openslide.OpenSlide(str(path)) as slide:
        region = slide.read_region((int(x), int(y)), 0, (size[1], size[0]))
        mpp = slide.properties.get(openslide.PROPERTY_NAME_MPP_X)
    return np.asarray(region.convert("RGB")), float(mpp) if mpp else None


def _plain(root: Path) -> Iterator[Labelled]:
    for path in sorted((root / "images").iterdir()):
        if path.suffix.lower() not in IMAGES:
            continue
        truth: dict[str, Truth] = {}
        for folder in sorted((root / "masks").iterdir()):
            name, labels = concept_of(folder.name), folder / f"{path.stem}.png"
            if name is not None and labels.is_file():
                truth[name] = Truth(_labels(labels), True)
        if truth:
            yield Labelled(path.stem, root.name, path.stem, _picture(path), None, truth)


def _picture(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def _labels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image).astype(np.int32)
