"""Arrows, scale bars and letters on published pictures are no tissue."""

import cv2
import numpy as np
import pytest

from miner.demo import render
from segmenters import figures
from segmenters.ask import ask_all
from segmenters.protocol import Candidate, Prompt, Segmenter


@pytest.fixture(scope="module")
def tissue() -> np.ndarray:
    return render.tile(5, 256, mpp=0.5, organ="breast").image


def published(image: np.ndarray, colour: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """The picture with an arrow and a bar as a journal shows it, and where they are."""
    shown, where = image.copy(), np.zeros(image.shape[:2], np.uint8)
    for canvas, ink in ((shown, colour), (where, 1)):
        cv2.arrowedLine(canvas, (60, 60), (110, 100), ink, 4, tipLength=0.4)
        cv2.rectangle(canvas, (20, 236), (90, 241), ink, -1)
    _, code = cv2.imencode(".jpg", shown[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])
    return cv2.imdecode(code, cv2.IMREAD_COLOR)[..., ::-1].copy(), where > 0


@pytest.mark.parametrize(
    "colour", [(0, 0, 0), (255, 255, 0), (0, 255, 0), (0, 0, 255), (255, 0, 0), (0, 255, 255)]
)
def test_what_is_drawn_is_found_and_nothing_else(tissue, colour):
    image, where = published(tissue, colour)
    found = figures.drawn(image)
    assert found[where].mean() > 0.9
    near = cv2.dilate(where.astype(np.uint8), np.ones((13, 13), np.uint8)) > 0
    assert not (found & ~near).any()


def test_tissue_and_dark_pictures_have_no_figures(tissue):
    assert not figures.drawn(tissue).any()
    fluorescence = np.zeros((64, 64, 3), np.uint8)
    cv2.circle(fluorescence, (30, 30), 8, (0, 255, 0), -1)
    assert not figures.drawn(fluorescence).any()


def test_black_borders_do_not_end_tissue(tissue):
    framed = cv2.copyMakeBorder(tissue, 0, 0, 120, 120, cv2.BORDER_CONSTANT)
    assert not figures.drawn(framed)[:, 120:-120].any()


class Dark(Segmenter):
    """Everything dark is a nucleus."""

    name = "dark"

    def supports(self, concept):
        return concept == "nucleus"

    def encode(self, image, mpp):
        return image

    def segment(self, encoded, prompts):
        mask = encoded.max(axis=2) < 60
        mask[200:] = True
        labels = mask.astype(np.int32)
        return [Candidate(p.concept, p.wordings[0], mask, labels) for p in prompts]


def test_no_mask_holds_a_figure_and_no_segmenter_sees_one(tissue):
    image, where = published(tissue, (0, 0, 0))
    prompts = [Prompt("nucleus", "object", ("nuclei",))]
    ((found,),), drawn = ask_all([Dark()], image, None, prompts)
    assert drawn[where].mean() > 0.9
    assert not (found.mask & drawn).any()
    assert np.array_equal(found.labels > 0, found.mask)
    shown = figures.without(image, drawn)
    assert np.median(shown[where].max(axis=1)) > 100
    assert np.array_equal(shown[~drawn], image[~drawn])
