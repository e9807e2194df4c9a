"""Training crops of tissue, colours of other laboratories, and glands from maps."""

import cv2
import numpy as np
import pytest

from segmenters.stain import regions
from segmenters.training import styles, tissue
from segmenters.training.data import Tile
from segmenters.unet import glands
from segmenters.unet.outputs import TISSUE

GLAND = TISSUE.sigmoid.index("gland")


def noise(colour: tuple, size: int = 64, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    grain = rng.normal(0, 12, (size, size, 1)) + rng.normal(0, 5, (size, size, 3))
    return np.clip(np.array(colour) + grain, 0, 255).astype(np.uint8)


def ring(size: int = 96, radius: int = 24, wall: int = 8) -> np.ndarray:
    mask = np.zeros((size, size), np.uint8)
    cv2.circle(mask, (size // 2, size // 2), radius, 1, wall)
    return mask > 0


def test_a_restyled_picture_takes_on_the_colours_and_keeps_the_glass():
    pink, blue = noise((220, 150, 190)), noise((110, 90, 180), seed=1)
    pink[:16] = 250
    moved = styles.restyle(pink, styles.style_of(pink), styles.style_of(blue), 1.0)
    assert abs(moved[16:].mean(axis=(0, 1)) - blue.mean(axis=(0, 1))).max() < 12
    assert moved[:14].min() > 220
    same = styles.restyle(pink, styles.style_of(pink), styles.style_of(blue), 0.0)
    assert abs(same.astype(int) - pink).max() <= 1


def test_tiles_of_one_tissue_share_a_style_and_glass_has_none():
    def made(name: str, image: np.ndarray, what: str | None) -> Tile:
        return Tile(name, "crc", image, 1.0, {}, what)

    found = styles.of_tiles(
        [
            made("a", noise((220, 150, 190)), "stroma"),
            made("b", noise((120, 90, 180)), "lymphoid"),
            made("c", noise((120, 90, 180)), None),
            made("glass", np.full((64, 64, 3), 250, np.uint8), None),
        ]
    )
    assert set(found) == {"a", "b", "c"}
    assert np.array_equal(found["a"][0], found["b"][0])
    assert not np.array_equal(found["b"][0], found["c"][0])


def test_lumina_left_out_of_an_outline_are_unknown_and_not_background():
    image = noise((120, 80, 160), 64)
    labels = np.ones((64, 64), np.uint16)
    image[20:40, 20:40] = 252
    labels[20:40, 20:40] = 0
    labels[50:, :] = 0
    drawn = Tile("x", "ebhi_seg", image, 1.0, {"gland": labels})
    maps, weights, _ = tissue.fill(drawn, image, {"gland": labels.astype(np.int32)})
    assert weights[GLAND, 30, 30] == 0
    assert weights[GLAND, 60, 30] == 1
    assert maps[GLAND, 60, 30] == 0
    assert maps[GLAND, 5, 5] == 1


def test_tumor_is_gland_only_where_it_is_outlined_gland_by_gland():
    image = noise((120, 80, 160), 32)
    labels = {"tumor": np.ones((32, 32), np.int32)}
    known = {}
    for source in ("ebhi_seg", "bcss", "rings"):
        drawn = Tile("x", source, image, 1.0, labels)
        maps, weights, _ = tissue.fill(drawn, image, labels)
        known[source] = float((maps * weights)[GLAND].mean()), float(weights[GLAND].mean())
    assert known == {"ebhi_seg": (1.0, 1.0), "bcss": (0.0, 0.0), "rings": (0.0, 0.0)}


def test_a_mosaic_holds_pieces_of_four_crops():
    count = 0

    def draw() -> tuple:
        nonlocal count
        count += 1
        full = np.full((32, 32), count, np.float32)
        maps = np.stack([full] * len(TISSUE.sigmoid)) / 4
        image = np.repeat(full[..., None], 3, axis=2).astype(np.uint8)
        return image, maps, np.ones_like(maps), full.astype(np.uint8)

    image, maps, _, classes = tissue.mosaic(draw, 32, np.random.default_rng(0))
    assert set(np.unique(image)) == {1, 2, 3, 4}
    assert np.array_equal(image[..., 0], classes)
    assert np.allclose(maps[GLAND] * 4, classes)


@pytest.mark.parametrize(("inside", "filled"), [(250, True), (150, False)])
def test_empty_holes_are_lumina_and_stained_ones_are_stroma(inside, filled):
    wall = ring()
    image = noise((130, 90, 170), 96)
    disc = cv2.circle(np.zeros(wall.shape, np.uint8), (48, 48), 20, 1, -1)
    image[(disc > 0) & ~wall] = inside
    image[:6] = 250
    labels, _ = glands.find(
        wall.astype(np.float32), wall.astype(np.float32) * 0.5, image, TISSUE.mpp
    )
    assert (labels[48, 48] > 0) == filled
    assert labels[48, 48 + 24] > 0


def test_what_the_border_cuts_is_no_lumen():
    mask = np.ones((64, 64), bool)
    mask[:20, 20:40] = False
    mask[30:34, 30:34] = False
    found = regions.lumen_holes(mask, np.ones_like(mask), TISSUE.mpp)
    assert not found[:20].any()
    assert found[30:34, 30:34].all()


def test_a_hint_counts_only_where_the_network_half_believes_it():
    image = noise((130, 90, 170), 96)
    probability = np.full((96, 96), 0.05, np.float32)
    probability[:48] = (glands.HINTED + glands.THRESHOLD) / 2
    hint = np.zeros((96, 96), bool)
    hint[20:80, 30:60] = True
    alone, _ = glands.find(probability, probability, image, TISSUE.mpp)
    assert not alone.any()
    labels, raised = glands.find(probability, probability, image, TISSUE.mpp, hint)
    assert (labels[20:48, 30:60] > 0).all()
    assert not labels[48:].any()
    assert np.array_equal(labels > 0, raised > glands.THRESHOLD)
