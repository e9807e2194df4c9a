"""From masks of one name each to what every pixel may be."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import cv2
import numpy as np

from miner.demo import render
from segmenters.regions import outputs
from segmenters.regions.outputs import CLASSES, KINDS
from segmenters.training.data import ASSUMED_MPP, KIND_OF_CODE, TrainingTile
from segmenters.training.regions.rows import Row
from segmenters.training.views import clear

# um per pixel of sets that publish none, besides those of `ASSUMED_MPP`.
MPP = {"brecahad": 0.25, "hgsc": 0.5, "nuinsseg_tissue": 0.24, **ASSUMED_MPP}
# Pixels kept per pixel of the network, for crops that are enlarged.
_KEPT_PER_PIXEL = 1.4
EVERYTHING = (1 << len(CLASSES)) - 1
# Entity -> class of `CLASSES`. What lies outside an exhaustive mask is anything but that.
CLASS_OF = {
    "epithelium": "epithelium",
    "tumor": "epithelium",
    "tumor_region": "epithelium",
    "stroma": "stroma",
    "lymphocytic_infiltrate": "lymphocytic infiltrate",
    "muscle": "muscle",
    "fat": "fat",
    "mucin": "mucin",
    "necrosis": "necrosis",
}
# Tiles that one tissue fills and that have no mask.
_CLASS_OF_CODE = {
    "DEB": "necrosis",
    "BACK": "other",
    "Non-Viable-Tumor": "necrosis",
    "human_brain": "other",
    "human_cerebellum": "other",
}
_MALIGNANT = ("tumor", "tumor_region")
_CARCINOMA_SETS = ("brca_m2c",)
_BENIGN_CODES = ("normal", "polyp", "low-grade-in", "serrated-adenoma", "human_oesophagus")
KIND_OF = {
    "epithelial_nuclei": "epithelial nucleus",
    "tumor_nuclei": "epithelial nucleus",
    "lymphocyte": "lymphocyte",
    "inflammatory_nuclei": "lymphocyte",
    "stromal_nuclei": "stromal nucleus",
    "neutrophil": "neutrophil",
    "macrophage": "macrophage",
}
PHANTOM_SEED = 5_300_000
PHANTOMS = 300
PHANTOM_PX = 256
# um per pixel of phantoms; crops are rescaled on top of it.
_PHANTOM_MPP = (0.7, 1.3)
_PHANTOM_CLASS = {
    "stroma": "stroma",
    "smooth_muscle": "muscle",
    "lymphoid_follicle": "lymphocytic infiltrate",
    "fat": "fat",
    "epithelium": "epithelium",
    "tumor": "epithelium",
    "mucin": "mucin",
    "necrosis": "necrosis",
    "lumen": "other",
    "colloid": "other",
    "alveolus": "other",
    "neuropil": "other",
}


def bit(name: str) -> int:
    """The bit of a class in a map of what pixels may be."""
    return 1 << CLASSES.index(name)


def _read(path: object) -> np.ndarray:
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


def allowed_of(row: Row, masks: Mapping[str, np.ndarray], empty: np.ndarray) -> np.ndarray:
    """What every pixel may be, uint16 (H, W), a bit per class; `EVERYTHING` where unknown.

    Args:
        row: the tile.
        masks: entity -> label map (H, W), those outlined in full.
        empty: bool (H, W), what holds nothing.
    """
    allowed = np.full(empty.shape, EVERYTHING, np.uint16)
    for name, mask in masks.items():
        if name in CLASS_OF:
            # Tumor that is graded or dysplasia between incomplete outlines stays unknown.
            allowed[mask == 0] &= EVERYTHING ^ bit(CLASS_OF[name])
    if "gland" in masks and "stroma" in masks:
        allowed[masks["gland"] == 0] &= EVERYTHING ^ bit("epithelium")
    if "gland" in masks:
        allowed[masks["gland"] > 0] = bit("epithelium")
    for name, mask in masks.items():
        if name in CLASS_OF:
            allowed[mask > 0] = bit(CLASS_OF[name])
    filled = _CLASS_OF_CODE.get(row.code or "") if not masks or row.source == "nuinsseg" else None
    if filled is not None:
        allowed[:] = bit(filled)
    # Nothing to see is lumen or glass, whatever the outline took in; but fat and mucin look so too.
    hollow = ("fat", "mucin")
    if not any(name in masks for name in hollow):
        clear_too = bit("other") | sum(bit(name) for name in hollow)
        allowed[empty] = clear_too if filled is None else bit("other")
    if row.ignore is not None:
        allowed[_read(row.ignore) > 0] = EVERYTHING
    return allowed


def _kinds_of(
    masks: Mapping[str, np.ndarray], shape: tuple[int, int], code: str | None = None
) -> np.ndarray:
    kinds = np.zeros(shape, np.uint8)
    if code in KIND_OF_CODE and "nuclei" in masks:
        kinds[masks["nuclei"] > 0] = 1 + KINDS.index(KIND_OF[KIND_OF_CODE[code]])
    for name, mask in masks.items():
        if name in KIND_OF:
            kinds[mask > 0] = 1 + KINDS.index(KIND_OF[name])
    return kinds


def read(row: Row) -> TrainingTile | None:
    """One tile near the scale of the network, or None where it teaches nothing.

    Its maps: `allowed`, see `allowed_of`; `gland`, labels; `known gland`, 1 where that is known;
    `lumen` and `malignant`, 0 unknown, 1 no, 2 yes; `kinds`, 0 unknown, else one more than the
    kind.

    Args:
        row: the tile.
    """
    teaches = set(CLASS_OF) | set(KIND_OF) | {"gland"}
    filled = (row.code or "") in _CLASS_OF_CODE
    of_kind = row.code in KIND_OF_CODE and "nuclei" in row.entities
    if not (teaches & set(row.entities) or filled or of_kind):
        return None
    if row.stain != "H&E":
        return None
    image = cv2.cvtColor(cv2.imread(str(row.file)), cv2.COLOR_BGR2RGB)
    shape = (image.shape[0], image.shape[1])
    drawn = {name: _read(entity.mask) for name, entity in row.entities.items()}
    full = {name: mask for name, mask in drawn.items() if row.entities[name].exhaustive}
    if row.source == "rings" and "tumor" in full:
        # Benign glands between the tumor are not outlined.
        del full["tumor"]
    empty = clear(image)
    allowed = allowed_of(row, full, empty)
    if row.source == "rings" and "tumor" in drawn:
        allowed[(drawn["tumor"] > 0) & ~empty] = bit("epithelium")
    labels = {"allowed": allowed, "kinds": _kinds_of(drawn, shape, row.code)}
    labels.update(_glands_of(row, full, empty, allowed))
    malignant = np.zeros(shape, np.uint8)
    epithelium = allowed == bit("epithelium")
    if any(name in drawn for name in _MALIGNANT) or row.source in _CARCINOMA_SETS:
        malignant[epithelium] = 2
    elif row.code in _BENIGN_CODES or row.source == "rings":
        malignant[epithelium] = 1
    labels["malignant"] = malignant
    factor = (row.mpp or MPP[row.source]) / outputs.MPP
    shrink = min(1.0, factor * _KEPT_PER_PIXEL)
    if shrink < 0.95:
        size = (round(shape[1] * shrink), round(shape[0] * shrink))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        labels = {
            k: cv2.resize(v, size, interpolation=cv2.INTER_NEAREST) for k, v in labels.items()
        }
        factor /= shrink
    one = "one tissue" if row.source == "crc_tissue" else None
    return TrainingTile(row.id, row.source, image, factor, labels, one)


def _glands_of(
    row: Row, masks: Mapping[str, np.ndarray], empty: np.ndarray, allowed: np.ndarray
) -> dict[str, np.ndarray]:
    """`gland`, `known gland` and `lumen` of a tile, see `read`."""
    shape = empty.shape
    gland = np.zeros(shape, np.uint16)
    known, lumen = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    if "gland" in masks:
        gland = masks["gland"].astype(np.uint16)
        known[:] = 1
        lumen[~empty] = 1
        lumen[empty & (gland > 0)] = 2
        if row.source == "ebhi_seg":
            # Lumina are inside the outline in some tiles and left out in others.
            known[empty & (gland == 0)] = 0
    else:
        sure = allowed != EVERYTHING
        known[sure & (allowed & bit("epithelium") == 0)] = 1
        if row.source == "ebhi_seg" and "tumor" in masks:
            # Outlined gland by gland.
            gland = (masks["tumor"] > 0).astype(np.uint16)
            known[:] = ~(empty & (gland == 0))
        lumen[sure & ~empty] = 1
    return {"gland": gland, "known gland": known, "lumen": lumen}


def phantom(seed: int) -> TrainingTile:
    """One phantom, with the maps of `read`.

    Args:
        seed: seed of the tile.
    """
    mpp = float(np.random.default_rng(seed).uniform(*_PHANTOM_MPP))
    drawn = render.tile(seed, PHANTOM_PX, mpp=mpp)
    shape = (drawn.image.shape[0], drawn.image.shape[1])
    allowed = np.full(shape, EVERYTHING, np.uint16)
    for name, known in _PHANTOM_CLASS.items():
        if name in drawn.labels:
            allowed[drawn.labels[name] > 0] = bit(known)
    for name in ("blood_vessel", "keratin", "glomerulus"):
        if name in drawn.labels:
            allowed[drawn.labels[name] > 0] = EVERYTHING
    gland = drawn.labels.get("gland", np.zeros(shape, np.int32))
    sure = np.ones(shape, np.uint8)
    for name in ("tubule", "thyroid_follicle", "alveolus"):
        if name in drawn.labels:
            sure[drawn.labels[name] > 0] = 0
    lumen = drawn.labels.get("lumen", np.zeros(shape, np.int32))
    labels: dict[str, np.ndarray] = {
        "allowed": allowed,
        "gland": gland.astype(np.uint16),
        "known gland": sure,
        "lumen": (1 + (lumen > 0)).astype(np.uint8),
        "malignant": np.zeros(shape, np.uint8),
        "kinds": _kinds_of(drawn.labels, shape),
    }
    return TrainingTile(f"phantom/{seed}", "phantom", drawn.image, mpp / outputs.MPP, labels)


def phantoms() -> list[TrainingTile]:
    """The phantoms the network is trained on: H&E alone."""
    return [phantom(PHANTOM_SEED + i) for i in range(PHANTOMS)]


def without(tile: TrainingTile, *maps: str) -> TrainingTile:
    """The tile with some of its maps unknown."""
    labels = dict(tile.labels)
    for name in maps:
        labels[name] = np.full_like(labels[name], EVERYTHING if name == "allowed" else 0)
    return dataclasses.replace(tile, labels=labels)
