"""What the agreement says, with an encoder whose answers are known."""

from typing import ClassVar

import numpy as np
import pytest

from filters.clip import SCORES, ClipAgreement, ClipConfig, comparison, counterfactuals
from ner.concepts import concepts


class ColorClip:
    """Red regions are stroma, blue ones nuclei, green ones glands; texts have the same axes."""

    crop_px = 16
    logit_scale = 10.0
    axes: ClassVar = {"stroma": 0, "gland": 1, "nucleus": 2, "mucin": 3, "lymphocyte": 3}

    def __init__(self):
        self.texts_seen = 0
        self.dense_seen = 0

    def judged_as(self, concept):
        return concept if concept in self.axes else None

    def texts(self, texts):
        self.texts_seen += len(texts)
        out = np.zeros((len(texts), 4), np.float32)
        forms = {name: {*comparison.wordings(name), name} for name in self.axes}
        for i, text in enumerate(texts):
            name = next(n for n, words in forms.items() if text in words)
            out[i, self.axes[name]] = 1
        return out

    def dense(self, image):
        self.dense_seen += 1
        return np.concatenate([image[::2, ::2] / 255, np.zeros((*image[::2, ::2].shape[:2], 1))], 2)

    def regions(self, dense, weights):
        mean = np.einsum("nhw,hwc->nc", weights, dense)
        return (mean / np.linalg.norm(mean, axis=1, keepdims=True)).astype(np.float32)

    def crops(self, crops, masks):
        mean = np.concatenate([crops.mean((1, 2)) / 255, np.zeros((len(crops), 1))], 1)
        return (mean / np.linalg.norm(mean, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def scene():
    """Red ground with blue squares: the picture, their mask and their labels."""
    image = np.zeros((128, 128, 3), np.uint8)
    image[..., 0] = 200
    labels = np.zeros((128, 128), np.int32)
    for i in range(4):
        labels[10 + 30 * i : 20 + 30 * i, 12:22] = i + 1
    image[labels > 0] = (0, 0, 200)
    return image, labels > 0, labels


def agreement(**settings):
    return ClipAgreement(ClipConfig(templates=("{}",), **settings), encoder=ColorClip())


@pytest.mark.parametrize("mode", ["dense", "crops"])
def test_the_right_phrase_wins(scene, mode):
    image, mask, labels = scene
    right, wrong = agreement(regions=mode, outside="grey").scores(
        image,
        [
            ("nucleus", "object", mask, labels, ["positive"]),
            ("gland", "object", mask, labels, ["decoy"]),
        ],
    )
    for name in ("cosine", "prob", "margin_sibling", "rank", "instance_median", "instance_worst"):
        assert right[name] > wrong[name], name
    assert right["reason"] is None
    assert right["rank"] == 1.0
    assert set(right) == {*SCORES, "reason", "judged_as"}


def test_the_right_place_wins(scene):
    image, mask, labels = scene
    moved = np.roll(mask, 60, axis=1)
    right, wrong = agreement().scores(
        image,
        [("nucleus", "object", mask, labels, []), ("nucleus", "object", moved, None, [])],
    )
    for name in ("margin_complement", "margin_random", "margin_shifted"):
        assert right[name] > 0.1, name
        assert right[name] > wrong[name], name
    assert wrong["instance_median"] is None


def test_a_picture_is_encoded_once_and_texts_are_kept(scene):
    image, mask, labels = scene
    clip = agreement()
    ground = ~mask & (np.arange(128) < 64)
    candidates = [("nucleus", "object", mask, labels, []), ("stroma", "stuff", ground, None, [])]
    first = clip.scores(image, candidates[:1] * 5)
    assert clip.encoder.dense_seen == 1
    clip.scores(image, candidates)
    seen = clip.encoder.texts_seen
    again = clip.scores(image, candidates)
    assert clip.encoder.texts_seen == seen
    assert again[1]["reason"] is None
    assert first[0] == first[4]


def test_scores_do_not_depend_on_the_other_candidates_order(scene):
    image, mask, labels = scene
    a = ("nucleus", "object", mask, labels, [])
    b = ("gland", "object", mask, labels, [])
    one, two = agreement().scores(image, [a, b])
    other_two, other_one = agreement().scores(image, [b, a])
    assert one == other_one
    assert two == other_two


@pytest.mark.parametrize(
    ("concept", "mask", "reason"),
    [
        ("nucleus", None, "no_mask"),
        ("nucleus", np.zeros((128, 128), bool), "no_mask"),
        ("nucleus", np.eye(128, dtype=bool) & (np.arange(128) < 3), "too_small"),
        ("stroma", np.ones((128, 128), bool), "fills_picture"),
        ("platelet", np.eye(128, dtype=bool), "unknown_concept"),
    ],
)
def test_what_cannot_be_judged_has_a_reason(scene, concept, mask, reason):
    (found,) = agreement().scores(scene[0], [(concept, "object", mask, None, [])])
    assert found["reason"] == reason
    assert all(found[name] is None for name in SCORES)


def test_an_empty_picture_is_not_judged():
    blank = np.full((64, 64, 3), 240, np.uint8)
    mask = np.zeros((64, 64), bool)
    mask[10:30, 10:30] = True
    (found,) = agreement().scores(blank, [("nucleus", "object", mask, None, [])])
    assert found["reason"] == "blank_picture"


def test_a_mask_of_another_size_is_an_error(scene):
    with pytest.raises(ValueError, match="mask of shape"):
        agreement().scores(scene[0], [("nucleus", "object", np.ones((4, 4), bool), None, [])])


def test_siblings_compete_at_the_same_scale_and_never_with_their_kin():
    found = comparison.siblings("lymphocyte")
    assert "neutrophil" in found
    assert "nucleus" not in found
    table = concepts()
    assert all(table[name].parent == table["lymphocyte"].parent for name in found)
    assert "glomerulus" not in comparison.siblings("red blood cell")
    assert "stroma" not in comparison.siblings("gland")  # stuff does not compete with objects


def test_absent_phrases_are_not_related_to_what_was_asked():
    names = ("nucleus", "lymphocyte", "gland", "tubule", "fat", "keratin", "mucin")
    found = comparison.absent(["lymphocyte", "gland"], names, 10)
    assert set(found) == {"fat", "keratin", "mucin"}
    assert comparison.absent(["gland", "lymphocyte"], names, 10) == found


def test_instance_weights_are_the_shares_of_the_cells():
    labels = np.zeros((8, 8), np.int32)
    labels[0:4, 0:4] = 3
    labels[4:6, 4:8] = 7
    found = counterfactuals.instance_weights(labels, [7, 3], (2, 2))
    assert found.tolist() == [[[0, 0], [0, 0.5]], [[1, 0], [0, 0]]]
    np.testing.assert_allclose(found.sum(0), counterfactuals.grid_weights(labels > 0, (2, 2)))


def test_random_regions_keep_the_shape_and_leave_the_place():
    weights = np.zeros((20, 20), np.float32)
    weights[2:5, 3:9] = 1
    found = counterfactuals.random_regions(weights, 6, np.random.default_rng(0))
    assert len(found) == 6
    for one in found:
        assert one.sum() == weights.sum()
        assert counterfactuals.overlap(weights, one) <= counterfactuals.MAX_OVERLAP
    assert (
        counterfactuals.random_regions(np.ones((9, 9), np.float32), 3, np.random.default_rng(0))
        == []
    )


def test_a_crop_shows_the_region_and_blurs_the_rest():
    image = np.zeros((40, 40, 3), np.uint8)
    image[::2] = 255
    mask = np.zeros((40, 40), bool)
    mask[10:20, 0:10] = True
    found, shown = counterfactuals.crop(image, mask, 20, 2.0, "blur")
    assert shown.sum() == 100
    assert found.shape == (20, 20, 3)
    assert found[8:12, 8:12].std() > 100
    assert found[16:, 12:].std() < 30
    assert (counterfactuals.crop(image, mask, 20, 2.0, "grey")[0][:2] == counterfactuals.GREY).all()
