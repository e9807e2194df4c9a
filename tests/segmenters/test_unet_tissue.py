"""Colours of other laboratories, and glands from maps."""

import cv2
import numpy as np
import pytest

from segmenters.regions.outputs import CLASSES
from segmenters.stain import regions, style
from segmenters.stain.scale import Scale
from segmenters.training import styles
from segmenters.training.data import TrainingTile
from segmenters.unet import glands
from segmenters.unet.encoded import UnetMaps


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
    moved = style.restyle(pink, style.style_of(pink), style.style_of(blue), 1.0)
    assert abs(moved[16:].mean(axis=(0, 1)) - blue.mean(axis=(0, 1))).max() < 12
    assert moved[:14].min() > 220
    same = style.restyle(pink, style.style_of(pink), style.style_of(blue), 0.0)
    assert abs(same.astype(int) - pink).max() <= 1


def test_tiles_of_one_tissue_share_a_style_and_glass_has_none():
    def made(name: str, image: np.ndarray, what: str | None) -> TrainingTile:
        return TrainingTile(name, "crc", image, 1.0, {}, what)

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


@pytest.mark.parametrize(("inside", "filled"), [(250, True), (150, False)])
def test_empty_holes_are_lumina_and_stained_ones_are_stroma(inside, filled):
    wall = ring()
    image = noise((130, 90, 170), 96)
    disc = cv2.circle(np.zeros(wall.shape, np.uint8), (48, 48), 20, 1, -1)
    image[(disc > 0) & ~wall] = inside
    image[:6] = 250
    labels, _ = glands.find(
        wall.astype(np.float32), wall.astype(np.float32) * 0.5, image, glands.MPP
    )
    assert (labels[48, 48] > 0) == filled
    assert labels[48, 48 + 24] > 0


def test_what_the_border_cuts_is_no_lumen():
    mask = np.ones((64, 64), bool)
    mask[:20, 20:40] = False
    mask[30:34, 30:34] = False
    found = regions.lumen_holes(mask, np.ones_like(mask), glands.MPP)
    assert not found[:20].any()
    assert found[30:34, 30:34].all()


def test_a_hint_counts_only_where_the_network_half_believes_it():
    image = noise((130, 90, 170), 96)
    probability = np.full((96, 96), 0.05, np.float32)
    probability[:48] = (glands.HINTED + glands.THRESHOLD) / 2
    hint = np.zeros((96, 96), bool)
    hint[20:80, 30:60] = True
    alone, _ = glands.find(probability, probability, image, glands.MPP)
    assert not alone.any()
    labels, raised = glands.find(probability, probability, image, glands.MPP, hint)
    assert (labels[20:48, 30:60] > 0).all()
    assert not labels[48:].any()
    assert np.array_equal(labels > 0, raised > glands.THRESHOLD)


def seen(monkeypatch, tissue: Scale, nuclei: Scale) -> tuple[UnetMaps, list[Scale]]:
    """A picture whose tissue is stroma at the scale of .5 um and muscle at any other."""
    asked = []

    def regions_at(
        self: UnetMaps, settled: Scale, count: int | None = None
    ) -> dict[str, np.ndarray]:
        asked.append(settled)
        there = "stroma" if settled.mpp == 0.5 else "muscle"
        side = round(20 * settled.mpp)
        return {name: np.full((side, side), float(name == there), np.float32) for name in CLASSES}

    monkeypatch.setattr(UnetMaps, "_regions_at", regions_at)
    found = object.__new__(UnetMaps)
    found.scale, found.tissue_scale = nuclei, tissue
    return found, asked


def test_tissue_of_unknown_scale_is_looked_at_at_two(monkeypatch):
    found, asked = seen(monkeypatch, Scale(1.0, "nuclei"), Scale(0.5, "nuclei"))
    maps = found.tissue_maps
    assert len(asked) == 2
    assert maps["muscle"].shape == (20, 20)
    assert (maps["muscle"] > maps["stroma"]).all()
    assert (maps["stroma"] > 0.35).all()
    assert np.allclose(sum(maps.values()), 1)


def test_tissue_of_a_given_scale_is_looked_at_once(monkeypatch):
    given = Scale(0.5, "given")
    found, asked = seen(monkeypatch, given, given)
    assert (found.tissue_maps["stroma"] == 1).all()
    assert asked == [given]
