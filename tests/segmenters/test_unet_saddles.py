"""Touching glands told apart, large ones left whole, fat left out."""

import cv2
import numpy as np
import pytest

from segmenters.training import targets
from segmenters.unet import glands, saddles

STAINED = (130, 90, 170)


def discs(places, radius: int, side: int = 128) -> np.ndarray:
    """Discs side by side, int32 labels (side, side)."""
    labels = np.zeros((side, side), np.int32)
    for i, (x, y) in enumerate(places):
        cv2.circle(labels, (x, y), radius, i + 1, -1)
    return labels


def found(labels: np.ndarray, depth: np.ndarray, mpp: float = glands.MPP) -> np.ndarray:
    image = np.full((*labels.shape, 3), STAINED, np.uint8)
    return glands.find((labels > 0).astype(np.float32), depth, image, mpp)[0]


def test_touching_discs_are_two():
    labels = discs([(44, 64), (84, 64)], 21)
    assert cv2.connectedComponents((labels > 0).astype(np.uint8))[0] == 2
    split = found(labels, targets.centreness(labels))
    assert split.max() == 2
    for place in (1, 2):
        inside = split[labels == place]
        assert (inside == np.bincount(inside).argmax()).mean() > 0.95


def test_a_large_disc_with_an_uneven_depth_is_one():
    labels = discs([(64, 64)], 60)
    uneven = cv2.GaussianBlur(
        np.random.default_rng(0).normal(size=labels.shape).astype(np.float32), (0, 0), 4
    )
    depth = np.clip(targets.centreness(labels) + 0.1 * uneven / uneven.std(), 0, 1)
    assert found(labels, depth.astype(np.float32)).max() == 1


def test_a_folded_gland_without_peaks_in_its_depth_is_one():
    labels = np.zeros((128, 128), np.int32)
    for x in (20, 48, 76, 104):
        cv2.circle(labels, (x, 64), 17, 1, -1)
    assert found(labels, 0.8 * (labels > 0).astype(np.float32)).max() == 1


def test_the_scale_of_the_picture_does_not_matter():
    labels = discs([(44, 64), (84, 64), (64, 24)], 21)
    depth = targets.centreness(labels)
    twice = cv2.resize(depth, None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR)
    large = np.kron(labels, np.ones((2, 2), np.int32))
    assert found(labels, depth).max() == found(large, twice, glands.MPP / 2).max() == 3


@pytest.mark.parametrize(("saddle", "count"), [(0.2, 2), (0.28, 2), (0.32, 1), (0.5, 1)])
def test_the_saddle_is_held_against_the_lower_peak(saddle, count):
    height = np.tile(np.interp(np.arange(41), [0, 10, 20, 30, 40], [0, 1, saddle, 0.5, 0]), (9, 1))
    labels = saddles.split(np.ones(height.shape, bool), height.astype(np.float32), 0.6)
    assert labels.min() > 0
    assert len(np.unique(labels)) == count


def test_joined_pieces_meet_the_next_one_with_their_higher_peak():
    # The middle peak joins the left one; against both the right one is low but well parted.
    knots = [0, 1, 0.65, 0.7, 0.35, 0.6, 0]
    height = np.tile(np.interp(np.arange(61), range(0, 61, 10), knots), (9, 1))
    labels = saddles.split(np.ones(height.shape, bool), height.astype(np.float32), 0.6)
    assert labels[4, 10] == labels[4, 30] != labels[4, 50]


def test_every_piece_of_the_mask_has_a_label_and_nothing_else_has():
    mask = np.zeros((32, 32), bool)
    mask[2:10, 2:10] = True
    mask[10:14, 10:14] = True  # touches the first at a corner
    mask[20:, 20:] = True
    slope = np.tile(np.linspace(0, 1, 32, dtype=np.float32), (32, 1))
    for height in (slope, np.zeros_like(slope)):
        labels = saddles.split(mask, height, 0.6)
        assert np.array_equal(labels > 0, mask)
        assert labels[25, 25] not in labels[:16, :16]
    assert not saddles.split(np.zeros_like(mask), slope, 0.6).any()


def test_walls_that_look_like_fat_are_no_gland_and_lumina_may():
    labels = discs([(32, 64), (92, 64)], 24)
    image = np.full((*labels.shape, 3), STAINED, np.uint8)
    for x in (32, 92):
        cv2.circle(image, (x, 64), 18, (250, 250, 250), -1)
    image[:6] = 250
    fat = np.zeros(labels.shape, np.float32)
    cv2.circle(fat, (32, 64), 14, 1.0, -1)  # the lumen of the first
    fat[labels == 2] = 0.4
    probability = (labels > 0).astype(np.float32)
    depth = targets.centreness(labels)
    both, _ = glands.find(probability, depth, image, glands.MPP)
    assert both.max() == 2
    one, raised = glands.find(probability, depth, image, glands.MPP, fat=fat)
    assert np.array_equal(one > 0, labels == 1)
    assert np.array_equal(one > 0, raised > glands.THRESHOLD)
