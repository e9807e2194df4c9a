"""The rule-based segmenter on drawn tiles."""

import cv2
import numpy as np
import pytest

from segmenters.embedded import EmbeddedSegmenter
from segmenters.protocol import Prompt
from segmenters.stain import StainSegmenter, colour, nuclei, scale

HAEMATOXYLIN = np.array([0.65, 0.70, 0.29])
EOSIN = np.array([0.09, 0.95, 0.28])


def draw(centres: list[tuple[int, int]], radius: int = 14, size: int = 256) -> tuple:
    """Pink tile with dark discs and its truth."""
    truth = np.zeros((size, size), np.int32)
    for i, (y, x) in enumerate(centres, start=1):
        cv2.circle(truth, (x, y), radius, i, -1)
    rng = np.random.default_rng(0)
    eosin = 0.5 + 0.1 * cv2.GaussianBlur(rng.standard_normal((size, size)), (0, 0), 3)
    density = eosin[..., None] * EOSIN + (truth > 0)[..., None] * 1.2 * HAEMATOXYLIN
    image = np.clip(255 * np.exp(-density) + rng.normal(0, 2, density.shape), 0, 255)
    return image.astype(np.uint8), truth


def ask(concept: str, kind: str = "object") -> Prompt:
    return Prompt(concept, kind, (concept,))


GRID = [(y, x) for y in (40, 100, 160, 220) for x in (40, 100, 160, 220)]


def test_nuclei_are_found_one_by_one():
    image, truth = draw(GRID)
    segmenter = StainSegmenter()
    (found,) = segmenter.segment(segmenter.encode(image, 0.25), [ask("nucleus")])
    assert found.mask is not None
    assert found.labels is not None
    assert found.labels.max() == len(GRID)
    assert 2 * (found.mask & (truth > 0)).sum() / (found.mask.sum() + (truth > 0).sum()) > 0.9
    assert np.array_equal(found.mask, found.labels > 0)


def test_touching_nuclei_are_split():
    _, truth = draw([(100, 100), (100, 124)])
    assert nuclei.split(truth > 0, 0.25).max() == 2


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_scale_follows_the_size_of_the_nuclei(factor):
    image, _ = draw(GRID)
    zoomed = scale.resize_to(image, factor)
    sizes = [
        scale.estimate(i, colour.optical_density(i, colour.white_point(i))[..., 0]).mpp
        for i in (image, zoomed)
    ]
    assert sizes[1] * factor == pytest.approx(sizes[0], rel=0.25)


def test_estimated_stains_are_the_drawn_ones():
    image, _ = draw(GRID)
    density = colour.optical_density(image, np.full(3, 255, np.float32))
    stains = colour.estimate(density, np.full(3, 255, np.float32))
    assert stains.matrix[0] @ (HAEMATOXYLIN / np.linalg.norm(HAEMATOXYLIN)) > 0.95
    assert stains.matrix[1] @ (EOSIN / np.linalg.norm(EOSIN)) > 0.95


def test_one_answer_per_prompt_and_a_reason_where_there_is_none():
    image, _ = draw(GRID)
    segmenter = EmbeddedSegmenter()
    prompts = [ask("gibberish"), ask("nucleus"), ask("fat", "stuff")]
    answers = segmenter.segment(segmenter.encode(image, None), prompts)
    assert [a.concept for a in answers] == ["gibberish", "nucleus", "fat"]
    assert answers[0].reason == "unsupported"
    assert not segmenter.supports("gibberish")
    for answer in answers:
        assert (answer.mask is None) == (answer.reason is not None)


def test_two_calls_give_the_same_bytes():
    image, _ = draw(GRID)
    segmenter = EmbeddedSegmenter()
    one, two = (
        segmenter.segment(segmenter.encode(image, None), [ask("nucleus")])[0] for _ in range(2)
    )
    assert np.array_equal(one.labels, two.labels)


def test_scale_is_that_at_which_nuclei_have_their_size():
    image, _ = draw(GRID)
    density = colour.optical_density(image, colour.white_point(image))[..., 0]
    found = scale.estimate(image, density)
    assert found.source == "nuclei"
    assert 28 * found.mpp == pytest.approx(scale.NUCLEUS_UM, rel=0.12)  # 28 px across
