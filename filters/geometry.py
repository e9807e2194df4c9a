"""Geometry: what a mask's shape, size and place say, and when they rule it out.

`measure_mask` computes the stored scores of one mask, `compare_masks` those that compare the masks
of one picture; `verdicts` turns stored scores into reasons, for all candidates of a run at once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from pycocotools import mask as coco

from filters.config import GeometryConfig
from filters.objects import Objects
from ner.concepts import Concept
from ner.families import family, related


def measure_mask(mask: np.ndarray, objects: Objects, mpp: float | None) -> dict[str, float]:
    """Scores of one mask; scores in micrometres are missing when `mpp` is unknown.

    Args:
        mask: bool (H, W), not empty.
        objects: its single objects, or the connected parts of a region.
        mpp: um per pixel.
    """
    area = int(mask.sum())
    areas = objects.area_px
    padded = np.pad(mask, 1)
    edges = sum(
        int((padded[1:-1, 1:-1] & ~shifted).sum())
        for shifted in (padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:])
    )
    on_border = sum(int(line.sum()) for line in (mask[0], mask[-1], mask[:, 0], mask[:, -1]))
    scores = {
        "geometry_area_fraction": area / mask.size,
        "geometry_objects": float(len(areas)),
        "geometry_speck_fraction": float(areas[areas < SPECK_PX].sum() / areas.sum()),
        "geometry_border_fraction": float(objects.at_border.mean()),
        "geometry_outline_fraction": on_border / max(edges, 1),
        "geometry_largest_fraction": float(areas.max() / areas.sum()),
        "geometry_solidity": float(np.median(objects.solidity)),
    }
    if mpp:
        scores["geometry_diameter_um"] = float(np.median(objects.diameter_px)) * mpp
        scores["geometry_density_mm2"] = len(areas) / (mask.size * mpp**2 * 1e-6)
    return scores


SPECK_PX = 16  # smaller parts are specks: 4 px across, 1 um at 40x
# The limits here and in `GeometryConfig` were held against expert outlines, every fourth of 2,130
# training tiles: 524 masks of objects, 188 of regions. None is a speck, none is denser than a
# quarter of the limit; the border cuts 4 of 524; 12 of 188 regions are the whole picture.
# One sprawling patch with holes and bays that fills the picture is no countable thing: no expert
# mask of objects is, 7 of 69 of stroma are.
SPRAWL_TOP, SPRAWL_AREA, SPRAWL_SOLIDITY = 0.9, 0.4, 0.6  # largest part, cover, share of the hull
# Many small, compact, separate blobs are things, not a substance: no expert mask of a region is,
# 82 of 219 of nuclei are.
DOTS, DOTS_TOP, DOTS_SOLIDITY = 30, 0.05, 0.9  # parts, largest part, share of the hull
DOTS_UM = 15.0  # median diameter


@dataclasses.dataclass(frozen=True)
class Neighbors:
    """How a mask compares with the other masks of its picture.

    Attributes:
        overlap: highest IoU with the mask of an unrelated phrase, None where there is none.
        overlap_with: the concept of that mask.
        inside: largest share inside of something it is a part of, None where none was found.
        inside_of: the concept of that whole.
    """

    overlap: float | None = None
    overlap_with: str | None = None
    inside: float | None = None
    inside_of: str | None = None


def compare_masks(
    concepts: Sequence[str],
    segmenters: Sequence[str],
    comparable: Sequence[bool],
    rles: Sequence[dict | None],
    table: Mapping[str, Concept],
    judged: Sequence[str] | None = None,
) -> list[Neighbors]:
    """Compare the masks of one picture.

    Args:
        concepts: concept per candidate.
        segmenters: segmenter per candidate; only masks of the same one are compared: two
            segmenters that agree on one concept are good news.
        comparable: whether others are compared with this one; decoys must not change a verdict.
        rles: COCO RLE objects with bytes counts, None where there is no mask.
        table: the concept table.
        judged: concept that each was answered as; itself when None.
    """
    judged = judged or concepts
    found = [Neighbors() for _ in rles]
    present = [i for i, rle in enumerate(rles) if rle is not None]
    if len(present) < 2:
        return found
    masks = [rles[i] for i in present]
    iou = coco.iou(masks, masks, [0] * len(masks))
    # For a crowd the union is the area of the first mask alone: IoU becomes the share inside.
    inside = coco.iou(masks, masks, [1] * len(masks))
    for a, i in enumerate(present):
        same = [
            b
            for b, j in enumerate(present)
            if j != i and comparable[j] and segmenters[j] == segmenters[i]
        ]
        wholes = {w for n in (concepts[i], judged[i]) if n in table for w in table[n].part_of}
        rivals = [b for b in same if not related(concepts[i], concepts[present[b]], table)]
        around = [b for b in same if wholes & {concepts[present[b]], judged[present[b]]}]
        rival = max(rivals, key=lambda b: (iou[a, b], -b), default=None)
        whole = max(around, key=lambda b: (inside[a, b], -b), default=None)
        found[i] = Neighbors(
            overlap=None if rival is None else float(iou[a, rival]),
            overlap_with=None if rival is None else concepts[present[rival]],
            inside=None if whole is None else float(inside[a, whole]),
            inside_of=None if whole is None else concepts[present[whole]],
        )
    return found


def verdicts(
    columns: Mapping[str, np.ndarray],
    concepts: Sequence[str],
    kinds: Sequence[str],
    calibrated: np.ndarray,
    table: Mapping[str, Concept],
    config: GeometryConfig,
) -> np.ndarray:
    """Why geometry rules a candidate out.

    Args:
        columns: the geometry scores and `area_px`, float64 (n,), NaN where undefined.
        concepts: concept per candidate.
        kinds: "object" or "stuff" per candidate.
        calibrated: bool (n,), whether the decision was fitted on masks of its segmenter.
        table: the concept table.
        config: the limits.

    Returns:
        object (n,): a reason, or "". Of several reasons the first of this order is given:
        whole_image, speck, border_cut, implausible_size, implausible_count, not_an_object,
        not_a_region.
    """
    is_object = np.array([kind == "object" for kind in kinds], bool)
    families = [family(table.get(c), kind) for c, kind in zip(concepts, kinds, strict=True)]
    is_cell = np.array([name == "cell" for name in families], bool)
    # A tissue may fill a picture, a thing or a part of one may not. 19 of 19 such masks of the
    # embedded segmenter were right on tiles kept apart; where nothing is known of how sure a
    # segmenter is of its mask, the other scores let 27 of 63 whole pictures pass that were wrong.
    tissue = np.array([c in table and not table[c].part_of for c in concepts], bool)
    may_fill = calibrated & tissue & ~is_object
    sizes = np.array(
        [
            table[c].size_um or (np.nan, np.nan) if c in table else (np.nan, np.nan)
            for c in concepts
        ],
        float,
    ).reshape(-1, 2)
    smallest, largest = sizes[:, 0] / config.size_factor, sizes[:, 1] * config.size_factor
    area, count = columns["geometry_area_fraction"], columns["geometry_objects"]
    diameter, solidity = columns["geometry_diameter_um"], columns["geometry_solidity"]
    top = columns["geometry_largest_fraction"]
    # Twice the limit: the density of a picture is judged as generously as the sizes in it.
    crowded = count * np.square(np.nan_to_num(smallest)) * 1e-6 * np.pi / 4
    picture_mm2 = count / columns["geometry_density_mm2"]
    rules = (
        ("whole_image", ~may_fill & (area >= config.max_area_fraction)),
        (
            "speck",
            (columns["area_px"] < config.min_area_px)
            | (columns["geometry_speck_fraction"] > config.max_speck_fraction),
        ),
        (
            "border_cut",
            is_cell & (columns["geometry_outline_fraction"] > config.max_border_fraction),
        ),
        ("implausible_size", is_object & ((diameter < smallest) | (diameter > largest))),
        (
            "implausible_count",
            is_object
            & (
                (columns["geometry_density_mm2"] > config.max_density_per_mm2)
                | (crowded > picture_mm2)
            ),
        ),
        (
            "not_an_object",
            is_object & (top > SPRAWL_TOP) & (area > SPRAWL_AREA) & (solidity < SPRAWL_SOLIDITY),
        ),
        (
            "not_a_region",
            ~is_object
            & (count >= DOTS)
            & (top < DOTS_TOP)
            & (solidity > DOTS_SOLIDITY)
            & (diameter < DOTS_UM),
        ),
    )
    reasons = np.full(len(is_object), "", object)
    with np.errstate(invalid="ignore"):
        for name, broken in reversed(rules):
            reasons[broken] = name
    return reasons
