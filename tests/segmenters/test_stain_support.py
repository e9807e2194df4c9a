"""What kind of picture a tile is."""

import cv2
import numpy as np
import pytest

from segmenters.protocol import Prompt
from segmenters.stain import StainSegmenter, support

RNG = np.random.default_rng(0)


def tissue(counterstain: tuple, nuclear: tuple, size: int = 192) -> np.ndarray:
    """Tissue of two dyes, given by their optical densities."""
    discs = np.zeros((size, size), np.uint8)
    for y, x in RNG.integers(10, size - 10, (60, 2)):
        cv2.circle(discs, (int(x), int(y)), 7, 1, -1)
    base = 0.5 + 0.15 * cv2.GaussianBlur(RNG.standard_normal((size, size)), (0, 0), 2)
    density = base[..., None] * counterstain + discs[..., None] * np.array(nuclear)
    return np.clip(250 * np.exp(-density), 0, 255).astype(np.uint8)


HE = tissue((0.09, 0.95, 0.4), (0.8, 0.85, 0.35))
BROWN = tissue((0.35, 0.35, 0.15), (0.5, 1.0, 1.4))
BLACK = np.full((128, 128, 3), 6, np.uint8)
GLASS = np.clip(RNG.normal(244, 1, (128, 128, 3)), 0, 255).astype(np.uint8)


def fluorescence() -> np.ndarray:
    image = np.full((192, 192, 3), 8, np.uint8)
    for y, x in RNG.integers(10, 180, (40, 2)):
        cv2.circle(image, (int(x), int(y)), 6, (20, 40, 230), -1)
    return image


@pytest.mark.parametrize(
    ("image", "kind"),
    [
        (HE, support.HE),
        (BROWN, support.IHC),
        (BLACK, support.BLACK),
        (GLASS, support.BLANK),
        (fluorescence(), support.FLUORESCENCE),
    ],
)
def test_kinds_of_picture(image, kind):
    assert support.recognise(image) == kind


def test_pas_is_told_by_its_colours(shared):
    folder = shared / "data" / "train"
    paths = sorted((folder / "glomeruli_pas" / "images").glob("*.jpg"))[:3]
    for path in paths:
        image = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
        assert support.recognise(image) == support.PAS


def test_nothing_is_told_outside_of_h_and_e():
    for concept, stain in (("nucleus", support.HE), ("glomerulus", support.PAS)):
        assert [k for k in support.KINDS if support.supported(k, concept)] == [stain]


def test_outside_of_support_there_is_a_reason_instead_of_a_mask():
    segmenter = StainSegmenter()
    for image in (BROWN, BLACK, GLASS):
        encoded = segmenter.encode(image, None)
        (found,) = segmenter.segment(encoded, [Prompt("nucleus", "object", ("nuclei",))])
        assert found.mask is None
        assert found.reason == "out_of_support"
