"""Dark candidates, their outlines and the crops they are judged by."""

import cv2
import numpy as np
import pytest
import torch

from segmenters.mitoses import candidates, model
from segmenters.unet.weights import save

MPP = 0.4


def picture(*places: tuple[int, int], radius: int = 9, size: int = 120) -> np.ndarray:
    density = np.full((size, size), 0.2, np.float32)
    for i, (y, x) in enumerate(places):
        cv2.circle(density, (x, y), radius, 1.2 + 0.2 * i, -1)
    return density


def test_dark_things_are_found_darkest_first_with_their_outline():
    places = [(30, 30), (60, 90), (95, 40)]
    found = candidates.find(picture(*places), MPP)
    for place, want in zip(found.places[:3], places[::-1], strict=True):
        assert np.abs(place - want).max() <= 9
    truth = np.zeros((120, 120), np.uint8)
    cv2.circle(truth, (40, 95), 9, 1, -1)
    outline = found.labels == 1
    assert (outline & (truth > 0)).sum() / (outline | (truth > 0)).sum() > 0.7


def test_a_flat_picture_has_none():
    assert len(candidates.find(np.zeros((80, 80), np.float32), MPP).places) == 0


@pytest.mark.parametrize("factor", [0.5, 1.0, 1.6, 4.0])
def test_a_crop_has_its_point_in_the_middle(factor):
    image = np.zeros((200, 200, 3), np.uint8)
    reach = max(2, round(4 / factor))
    image[80 - reach : 81 + reach, 130 - reach : 131 + reach] = 255
    found = model.crop(image, 80, 130, factor).mean(axis=2)
    ys, xs = np.nonzero(found > 128)
    assert found.shape == (model.CROP_PX, model.CROP_PX)
    middle = model.CROP_PX / 2 - 0.5
    assert abs(ys.mean() - middle) <= 1
    assert abs(xs.mean() - middle) <= 1


def test_probabilities_do_not_depend_on_the_batch(tmp_path):
    torch.manual_seed(0)
    save(model.FigureNet(), tmp_path / "w.pt")
    net = model.load(tmp_path / "w.pt")
    crops = np.random.default_rng(0).integers(0, 255, (40, 64, 64, 3), np.uint8)
    found = model.classify(net, crops)
    assert found.shape == (40, len(model.KINDS))
    assert np.allclose(found.sum(axis=1), 1, atol=1e-3)
    assert np.allclose(found[33:], model.classify(net, crops[33:]), atol=0.02)


def test_no_crops_have_no_probabilities():
    assert (
        model.classify(model.FigureNet().eval(), np.zeros((0, 64, 64, 3), np.uint8)).shape[0] == 0
    )
