"""Geometry: scores of shapes whose answer is known, and the verdict each limit gives."""

import numpy as np
import pytest
from skimage.draw import disk

from filters import geometry
from filters.config import GeometryConfig
from filters.objects import components, measure
from filters.scores import GEOMETRY
from miner.core.masks import encode
from ner.concepts import concepts

MPP = 0.5


def discs(centers: list[tuple[int, int]], radius: int, side: int = 200) -> np.ndarray:
    mask = np.zeros((side, side), bool)
    for y, x in centers:
        mask[disk((y, x), radius, shape=mask.shape)] = True
    return mask


CALIBRATED, STRANGE = np.array([True]), np.array([False])


def verdict(
    mask: np.ndarray, concept: str, mpp: float | None = MPP, calibrated: np.ndarray = CALIBRATED
) -> str:
    kind = concepts()[concept].kind if concept in concepts() else "stuff"
    scores = geometry.measure_mask(mask, measure(components(mask)), mpp)
    columns = {name: np.array([scores.get(name, np.nan)]) for name in GEOMETRY}
    columns["area_px"] = np.array([float(mask.sum())])
    found = geometry.verdicts(columns, [concept], [kind], calibrated, concepts(), GeometryConfig())
    return found[0]


def test_scores_of_two_discs():
    mask = discs([(50, 50), (150, 150)], 10)
    scores = geometry.measure_mask(mask, measure(components(mask)), MPP)
    assert scores["geometry_objects"] == 2
    assert scores["geometry_diameter_um"] == pytest.approx(20 * MPP, rel=0.02)
    assert scores["geometry_solidity"] > 0.95
    assert scores["geometry_border_fraction"] == 0
    assert scores["geometry_area_fraction"] == pytest.approx(mask.mean())
    assert scores["geometry_density_mm2"] == pytest.approx(2 / (0.1 * 0.1))


def test_without_a_scale_sizes_are_undefined():
    mask = discs([(50, 50)], 10)
    scores = geometry.measure_mask(mask, measure(components(mask)), None)
    assert "geometry_diameter_um" not in scores
    assert verdict(discs([(100, 100)], 60), "nucleus", None) == ""


@pytest.mark.parametrize(
    ("mask", "concept", "reason"),
    [
        (np.ones((200, 200), bool), "stroma", ""),
        (np.ones((200, 200), bool), "gland", "whole_image"),
        (np.ones((200, 200), bool), "cytoplasm", "whole_image"),
        (np.ones((200, 200), bool), "something else", "whole_image"),
        (discs([(50, 50)], 1), "nucleus", "speck"),
        (discs([(-5, 100)], 14), "nucleus", "border_cut"),
        (discs([(100, 100)], 60), "nucleus", "implausible_size"),
        (discs([(50, 50), (120, 120)], 9), "nucleus", ""),
        (
            discs([(y, x) for y in range(10, 200, 20) for x in range(10, 200, 20)], 5),
            "stroma",
            "not_a_region",
        ),
    ],
)
def test_verdicts(mask, concept, reason):
    assert verdict(mask, concept) == reason


def test_a_tissue_fills_a_picture_only_by_a_segmenter_that_is_calibrated():
    everything = np.ones((200, 200), bool)
    assert verdict(everything, "fat", calibrated=STRANGE) == "whole_image"
    nearly = everything.copy()
    nearly[:8] = False
    assert verdict(nearly, "fat", calibrated=STRANGE) == ""


def test_a_count_that_cannot_fit():
    columns = {name: np.array([np.nan]) for name in GEOMETRY}
    columns |= {
        "area_px": np.array([4000.0]),
        "geometry_objects": np.array([900.0]),
        "geometry_diameter_um": np.array([5.0]),
        "geometry_density_mm2": np.array([90_000.0]),
    }
    found = geometry.verdicts(
        columns, ["nucleus"], ["object"], CALIBRATED, concepts(), GeometryConfig()
    )
    assert found[0] == "implausible_count"


def test_an_object_that_sprawls_and_a_region_of_dots():
    columns = {name: np.array([np.nan]) for name in GEOMETRY}
    base = {"area_px": np.array([20_000.0]), "geometry_area_fraction": np.array([0.5])}
    stuff_like = {
        **base,
        "geometry_largest_fraction": np.array([0.99]),
        "geometry_solidity": np.array([0.5]),
        "geometry_objects": np.array([1.0]),
    }
    found = geometry.verdicts(
        {**columns, **stuff_like}, ["gland"], ["object"], CALIBRATED, concepts(), GeometryConfig()
    )
    assert found[0] == "not_an_object"
    dots = {
        **base,
        "geometry_objects": np.array([80.0]),
        "geometry_largest_fraction": np.array([0.02]),
        "geometry_solidity": np.array([0.97]),
        "geometry_diameter_um": np.array([6.0]),
    }
    found = geometry.verdicts(
        {**columns, **dots}, ["stroma"], ["stuff"], CALIBRATED, concepts(), GeometryConfig()
    )
    assert found[0] == "not_a_region"


def rle(mask: np.ndarray) -> dict:
    return {"size": list(mask.shape), "counts": encode(mask).encode()}


def test_neighbors():
    gland, lumen = discs([(100, 100)], 60), discs([(100, 100)], 20)
    outside = discs([(10, 10)], 8)
    found = geometry.compare_masks(
        ["gland", "lumen", "necrosis", "gland"],
        ["a", "a", "a", "b"],
        [True] * 4,
        [rle(gland), rle(lumen), rle(gland), rle(gland)],
        concepts(),
    )
    assert found[1].inside == pytest.approx(1.0)
    assert found[1].inside_of == "gland"
    assert found[0].overlap == pytest.approx(1.0)
    assert found[0].overlap_with == "necrosis"
    assert found[3].overlap is None  # another segmenter's agreement is no fault
    far = geometry.compare_masks(
        ["gland", "lumen"], ["a", "a"], [True, True], [rle(gland), rle(outside)], concepts()
    )
    assert far[1].inside == 0.0
    silent = geometry.compare_masks(
        ["gland", "necrosis"], ["a", "a"], [True, False], [rle(gland), rle(gland)], concepts()
    )
    assert silent[0].overlap is None  # a decoy's mask says nothing about others


def test_objects_of_a_label_map():
    labels = np.zeros((60, 60), np.int32)
    labels[10:20, 10:14] = 7
    labels[40:44, 40:44] = 3
    labels[0, 30] = 9
    found = measure(labels)
    assert found.area_px.tolist() == [16, 40, 1]
    assert found.at_border.tolist() == [False, False, True]
    assert found.elongation[1] == pytest.approx(2.5, rel=0.01)
    assert found.solidity[:2] == pytest.approx([1, 1])
    assert found.center_px[0].tolist() == [41.5, 41.5]
    assert len(measure(np.zeros((5, 5), np.int32)).area_px) == 0


def test_the_border_cuts_cells_but_may_cut_what_is_larger():
    cut = discs([(-5, 100)], 14)
    assert verdict(cut, "nucleus") == "border_cut"
    assert verdict(cut, "gland", 8 * MPP) == ""
