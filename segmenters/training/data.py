"""The training tiles: reading, splitting by patient, canonical scale, crops with targets."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import pathlib
import re
from collections.abc import Mapping

import cv2
import numpy as np

from segmenters.stain import colour
from segmenters.stain.nuclei import nuclear_mask
from segmenters.training import augment, targets
from segmenters.unet.outputs import HEADS

# um per pixel of the sets that publish none, from the size of their nuclei (7.5 um) or crypts
# (80 um); crops are rescaled at random around it anyway.
ASSUMED_MPP = {
    "nuinsseg": 0.24,
    "ebhi_seg": 1.1,
    "rings": 1.15,
    "camelyon": 1.2,
    "ocdc": 0.95,
    "glomeruli_pas": 0.55,
    "osteosarcoma": 2.0,
    "oral": 1.0,
}
# Share of patients kept apart for choosing and calibrating.
KEPT_SHARE = 0.2
# Groups kept apart, or trained on, whatever their digest says: by it the case with most of the
# mitoses of its set would be kept apart, and of muscle a single tile.
KEPT_GROUPS = ("brecahad/Case_11", "brecahad/Case_13", "nuinsseg/human_tongue")
TRAINED_GROUPS = ("brecahad/Case_10", "brecahad/Case_12")
# The only group of its entity: split tile by tile.
SPLIT_BY_TILE = ("nuinsseg/human_oesophagus", "nuinsseg/mouse_subscapula")
# Natural logarithm of the factor by which crops of nuclei are shown larger or smaller.
SCALE_RANGE = (-0.5, 0.6)
# Pixels kept per pixel of the network, for crops that are enlarged.
_KEPT_PER_PIXEL = {"nuclei": 1.4, "glomeruli": 1.5}
# Background this near to a derived outline may well be nucleus.
DERIVED_DOUBT_PX = 3
# What most nuclei are in tiles of one tissue or organ. Where the nuclei are not outlined, the dark
# ones of the rules stand for them, for their kind alone.
KIND_OF_CODE = {
    "LYM": "lymphocyte",
    "TUM": "epithelial_nuclei",
    "STR": "stromal_nuclei",
    "MUS": "stromal_nuclei",
    "human_spleen": "lymphocyte",
    "mouse_spleen": "lymphocyte",
    "mouse_thymus": "lymphocyte",
    "human_tonsile": "lymphocyte",
    "human_liver": "epithelial_nuclei",
    "mouse_liver": "epithelial_nuclei",
    "human_pancreas": "epithelial_nuclei",
    "human_salivory": "epithelial_nuclei",
    "human_kidney": "epithelial_nuclei",
    "mouse_kidney": "epithelial_nuclei",
    "human_muscle": "stromal_nuclei",
    "mouse_muscle_tibia": "stromal_nuclei",
    "mouse_heart": "stromal_nuclei",
    "human_umbilical_cord": "stromal_nuclei",
}


@dataclasses.dataclass(frozen=True)
class TrainingTile:
    """One tile near the scale of its network.

    Attributes:
        id: name in the index.
        source: the set it comes from.
        image: uint8 (H, W, 3), RGB.
        factor: canonical pixels per pixel of `image`.
        labels: entity -> uint16 (H, W) label map.
        tissue: name of the tissue that fills the tile, or None.
        derived: whether the outlines were derived from dots.
    """

    id: str
    source: str
    image: np.ndarray
    factor: float
    labels: Mapping[str, np.ndarray]
    tissue: str | None = None
    derived: bool = False


def patient(row: Mapping[str, object]) -> str:
    """Who a tile comes from, as well as its name tells.

    Args:
        row: one row of the index.
    """
    source, name = str(row["set"]), str(row["id"]).split("/")[1]
    patterns = {
        "tnbc": r"^\d+",
        "brca_m2c": r"^TCGA-\w+-\w+",
        "nuinsseg": r"^[a-z]+_[a-z_]+?(?=_\d)",
        "ebhi_seg": r"gt[a-z]*\d+",
        "rings": r"^P\d+_[A-Z]\d+",
        "bcss": r"^\d+",
        "osteosarcoma": r"(Case-\d+|P\d+)",
        "ocdc": r"r\d+",
        "crc_tissue": r"[A-Z]+$",
    }
    found = re.search(patterns[source], name) if source in patterns else None
    return f"{source}/{found.group(0) if found else name}"


def kept_apart(row: Mapping[str, object]) -> bool:
    """Whether the tile's patient, slide or field is among those that are never trained on.

    A picture that another folder has, too (`same_picture_as`), lies where it lies there.

    Args:
        row: one row of an index.
    """
    same, group = row.get("same_picture_as"), row.get("group")
    if same is not None:
        return kept_apart({"set": str(same).split("/")[0], "id": same})
    if group in KEPT_GROUPS or group in TRAINED_GROUPS:
        return group in KEPT_GROUPS
    name = row["id"] if group in SPLIT_BY_TILE else group
    digest = hashlib.sha256(str(name or patient(row)).encode()).digest()
    return digest[0] < 256 * KEPT_SHARE


def read_index(folder: pathlib.Path, leave_out: tuple[str, ...] = ()) -> list[dict]:
    """Rows of `index.jsonl` in the order of the file, without the sets left out."""
    with (folder / "index.jsonl").open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return [row for row in rows if row["set"] not in leave_out]


def _nucleus_factor(row: Mapping, labels: np.ndarray) -> float:
    """Canonical pixels per pixel: half by the stated scale, half by the nuclei of the tile."""
    areas = np.bincount(labels.ravel())[1:]
    areas = areas[areas > 10]
    stated = row["mpp"] or ASSUMED_MPP.get(row["set"])
    if not len(areas):
        return (stated or 0.4) / 0.5
    # Nuclei are 15 canonical pixels across; those of breast tumours somewhat more.
    seen = 15.0 / float(np.sqrt(np.median(areas) * 4 / np.pi))
    return seen if stated is None else float(np.sqrt(seen * stated / 0.5))


def read_tile(folder: pathlib.Path, row: Mapping, net: str) -> TrainingTile | None:
    """One tile for one of the networks, or None where it teaches that network nothing.

    Args:
        folder: the folder of the index.
        row: its row.
        net: one of `HEADS`.
    """
    entities = row["entities"] or {}
    kind = KIND_OF_CODE.get(row["label_code"] or "")
    nuclear = "nuclei" in entities or kind is not None
    teaches = {"nuclei": nuclear, "glomeruli": "glomerulus" in entities}
    if not teaches[net]:
        return None
    image = cv2.cvtColor(cv2.imread(str(folder / row["file"])), cv2.COLOR_BGR2RGB)
    labels = {}
    for name, entity in entities.items():
        if entity["exhaustive"]:
            labels[name] = cv2.imread(str(folder / entity["mask"]), cv2.IMREAD_UNCHANGED)
    if net == "nuclei" and kind is not None:
        density = colour.optical_density(image, colour.white_point(image))[..., 0]
        labels[kind] = labels.get("nuclei", nuclear_mask(density, row["mpp"] or 0.5))
        labels[kind] = labels[kind].astype(np.uint16)
    if not labels:
        return None
    if net == "nuclei" and "nuclei" not in labels:
        factor = row["mpp"] / HEADS[net].mpp
    elif net == "nuclei":
        factor = _nucleus_factor(row, labels["nuclei"])
    else:
        factor = (row["mpp"] or ASSUMED_MPP[row["set"]]) / HEADS[net].mpp
    shrink = min(1.0, factor * _KEPT_PER_PIXEL[net])
    if shrink < 0.95:
        size = (round(image.shape[1] * shrink), round(image.shape[0] * shrink))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        labels = {
            k: cv2.resize(v, size, interpolation=cv2.INTER_NEAREST) for k, v in labels.items()
        }
        factor /= shrink
    derived = net == "nuclei" and any(e["outline"] != "expert" for e in entities.values())
    return TrainingTile(row["id"], row["set"], image, factor, labels, derived=derived)


def crop(
    tile: TrainingTile,
    size: int,
    rng: np.random.Generator,
    stains: tuple[colour.Stains, colour.Stains] | None = None,
) -> tuple:
    """A random view of a tile of nuclei with its targets.

    Args:
        tile: the tile.
        size: side of the view in pixels.
        rng: source of chance.
        stains: those of the tile and those to show it in; None leaves them.

    Returns:
        image uint8 (size, size, 3); maps float32 (k, size, size), 0..1, one per sigmoid output;
        weights float32 (k, size, size), 0 where unknown; classes uint8 (size, size), index of the
        softmax outputs, `targets.IGNORE` where unknown.
    """
    factor = tile.factor * np.exp(rng.uniform(*SCALE_RANGE))
    height, width = tile.image.shape[:2]
    view = augment.random_view((height, width), factor, size, rng)
    image = cv2.warpAffine(
        tile.image, view, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )
    labels = {
        name: cv2.warpAffine(
            values,
            view,
            (size, size),
            flags=cv2.INTER_NEAREST,
            borderMode=cv2.BORDER_REFLECT_101,
        ).astype(np.int32)
        for name, values in tile.labels.items()
    }
    if stains is not None:
        image = augment.transfer(image, *stains)
    if rng.random() < 0.9:
        image = augment.restain(image, rng)
    image = augment.recolour(image, rng)
    image = augment.degrade(image, rng)
    return (image, *_nuclei_targets(tile, labels, size))


def _empty(net: str, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    maps = np.zeros((len(HEADS[net].sigmoid), size, size), np.float32)
    return maps, np.zeros_like(maps), np.full((size, size), targets.IGNORE, np.uint8)


_NUCLEUS_CLASSES = {
    "epithelial_nuclei": "epithelial nucleus",
    "lymphocyte": "lymphocyte",
    "stromal_nuclei": "stromal nucleus",
    "neutrophil": "neutrophil",
    "macrophage": "macrophage",
}


def _nuclei_targets(tile: TrainingTile, labels: Mapping, size: int) -> tuple:
    head = HEADS["nuclei"]
    maps, weights, classes = _empty("nuclei", size)
    if "nuclei" in labels:
        nuclei = labels["nuclei"]
        maps[0], maps[1] = nuclei > 0, targets.centreness(nuclei)
        weights[:2] = 1
        if tile.derived:
            # Derived outlines are off by a pixel or two, and too tight on pale nuclei: say nothing
            # about their rims and surroundings.
            weights[0][targets.rim(nuclei, 1)] = 0.1
            weights[:2, targets.surround(nuclei, DERIVED_DOUBT_PX)] = 0
            weights[:2] *= 0.7
    for name, values in labels.items():
        if name in _NUCLEUS_CLASSES:
            classes[values > 0] = head.softmax.index(_NUCLEUS_CLASSES[name])
    if "red_blood_cell" in labels:
        maps[2], weights[2] = labels["red_blood_cell"] > 0, 1
    return maps, weights, classes
