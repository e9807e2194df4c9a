"""Tiles, blending and merging: nothing may show where tiles meet."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from ner.concepts import concepts
from segmenters.ensemble import iou
from segmenters.probability import RegionConfig
from segmenters.protocol import Prompt
from segmenters.text_prompted import PhraseAnswer, PhraseConfig, PhraseSegmenter
from segmenters.tiling import (
    Blend,
    TileBox,
    TilingConfig,
    field_um,
    grid,
    merge_labels,
    side_px,
    tissue_share,
)


class ColourModel:
    """Scale-free: the probability of a pixel depends on its colour alone. Counts encodings."""

    def __init__(self):
        self.encoded = 0

    def encode(self, image):
        self.encoded += 1
        return image

    def answer(self, encoded, phrases):
        darkness = 1 - encoded.mean(axis=2, dtype=np.float32) / 255
        return [PhraseAnswer(darkness) for _ in phrases]


class ObjectModel(ColourModel):
    """The same, but with objects of its own in every tile."""

    def answer(self, encoded, phrases):
        answers = super().answer(encoded, phrases)
        objects = ndimage.label(answers[0].prob >= 0.5)[0].astype(np.int32)
        return [PhraseAnswer(a.prob, objects) for a in answers]


@pytest.fixture(scope="module")
def slide():
    """A picture of discs whose truth is known: image, label map."""
    rng = np.random.default_rng(3)
    labels = np.zeros((280, 360), np.int32)
    y, x = np.mgrid[:280, :360]
    number = 0
    for _ in range(150):
        cy, cx, r = rng.uniform(0, 280), rng.uniform(0, 360), rng.uniform(6, 14)
        near = (y - cy) ** 2 + (x - cx) ** 2 < (r + 3) ** 2
        if not labels[near].any():
            number += 1
            labels[(y - cy) ** 2 + (x - cx) ** 2 < r**2] = number
    image = np.where(labels[..., None] > 0, 40, 200).astype(np.uint8).repeat(3, axis=2)
    image = (image + rng.normal(0, 8, image.shape)).clip(0, 255).astype(np.uint8)
    return image, labels


def ask(model, image, kind="object", **tiling):
    config = PhraseConfig(
        kind="stub", wordings=1, tiling=TilingConfig(**tiling), regions=RegionConfig(smooth_um=0)
    )
    segmenter = PhraseSegmenter("stub", model, config)
    prompt = Prompt("nucleus", kind, ("nuclei",))
    return segmenter.segment(segmenter.encode(image, 0.5), [prompt])[0]


@given(
    height=st.integers(1, 300),
    width=st.integers(1, 300),
    side=st.integers(16, 200),
    overlap=st.floats(0, 0.5),
)
@settings(max_examples=60, deadline=None)
def test_tiles_cover_the_picture_and_overlap_enough(height, width, side, overlap):
    tiles = grid(height, width, side, overlap)
    covered = np.zeros((height, width), int)
    for tile in tiles:
        covered[tile.at] += 1
        assert tile.y1 - tile.y0 == min(side, height)
        assert tile.x1 - tile.x0 == min(side, width)
    assert covered.min() >= 1
    starts = sorted({tile.x0 for tile in tiles})
    for a, b in itertools.pairwise(starts):
        assert a + side - b >= int(side * overlap) - 1


def test_blending_restores_a_map_that_the_tiles_agree_on():
    values = np.random.default_rng(0).random((70, 90), np.float32)
    blend = Blend(70, 90)
    for tile in grid(70, 90, 32, 0.25):
        blend.add(tile, values[tile.at])
    np.testing.assert_allclose(blend.result(), values, atol=1e-6)


@pytest.mark.parametrize("model", [ColourModel, ObjectModel])
def test_stitched_masks_equal_untiled_ones(slide, model):
    image, truth = slide
    whole = ask(ColourModel(), image, field="whole")
    tiled = ask(model(), image, field_um=64.0)
    differing = (whole.mask != tiled.mask).mean()
    assert differing <= 0.01
    assert iou(tiled.mask, truth > 0) > 0.95
    # No seam: every disc is one object, wherever tiles met.
    for number in range(1, truth.max() + 1):
        inside = tiled.labels[truth == number]
        values, counts = np.unique(inside[inside > 0], return_counts=True)
        assert counts.max() / counts.sum() > 0.99, f"disc {number} is cut: {values}"
    assert abs(int(tiled.labels.max()) - int(truth.max())) <= 2


def test_tiles_without_tissue_are_not_shown(slide):
    image = np.full((256, 256, 3), 245, np.uint8)
    image[:100, :100] = slide[0][:100, :100]
    model = ColourModel()
    ask(model, image, field_um=64.0)
    shown = sum(
        tissue_share(image[t.at]) >= 0.02 for t in grid(256, 256, 128, TilingConfig().overlap)
    )
    assert model.encoded == shown
    assert 0 < model.encoded < 9


def test_one_encoding_serves_all_prompts_of_a_field(slide):
    model = ColourModel()
    segmenter = PhraseSegmenter("stub", model, PhraseConfig(kind="stub"))
    prompts = [Prompt(c, "object", (c, f"{c}s")) for c in ("nucleus", "lymphocyte", "neutrophil")]
    answers = segmenter.segment(segmenter.encode(slide[0], 0.5), prompts)
    tiles = len(grid(280, 360, 128, 0.25))
    assert model.encoded == tiles
    assert [a.concept for a in answers] == ["nucleus", "lymphocyte", "neutrophil"]
    assert answers[0].scores["wording_agreement"] == 1.0


def test_unknown_scale_is_chosen_by_agreement_among_those_listed(slide):
    tiling = TilingConfig(scales_mpp=(0.25, 0.5, 1.0))
    segmenter = PhraseSegmenter("stub", ColourModel(), PhraseConfig(kind="stub", tiling=tiling))
    answer = segmenter.segment(
        segmenter.encode(slide[0], None), [Prompt("nucleus", "object", ("nuclei",))]
    )[0]
    assert answer.scores["scale_mpp"] in tiling.scales_mpp
    assert answer.scores["scale_agreement"] > 0.95


@pytest.mark.parametrize("mpp", [0.25, 0.5])
def test_unknown_scale_is_read_off_the_nuclei_and_recorded(mpp):
    from miner.demo.render import tile

    image = tile(3, size=320, mpp=mpp, organ="colon", flaws=0).image
    model = ColourModel()
    segmenter = PhraseSegmenter("stub", model, PhraseConfig(kind="stub"))
    prompts = [Prompt("nucleus", "object", ("nuclei",))]
    answer = segmenter.segment(segmenter.encode(image, None), prompts)[0]
    assert mpp / 1.5 < answer.scores["scale_mpp"] < mpp * 1.5
    assert "scale_agreement" not in answer.scores
    side = answer.scores["tile_px"]
    assert side == min(320, round(64 / answer.scores["scale_mpp"]))
    assert model.encoded == len(grid(320, 320, int(side), 0.25))  # one scale, each tile once


@pytest.mark.parametrize(("shape", "wanted"), [((1000, 1000), 128), ((700, 2000), 64)])
def test_tiles_grow_where_there_would_be_too_many(shape, wanted):
    tiling = TilingConfig(max_tiles=16)
    side = side_px(*shape, wanted, tiling)
    assert wanted < side < max(shape)
    assert 8 < len(grid(*shape, side, tiling.overlap)) <= 16
    assert side_px(*shape, wanted, TilingConfig(max_tiles=10_000)) == wanted
    assert side_px(*shape, wanted, TilingConfig(max_tiles=1)) == max(shape)


def test_fields_follow_the_size_of_the_concept():
    assert field_um("nucleus") == 64
    assert field_um("gland") in (128, 256, 500)
    assert len({field_um(concept) for concept in concepts()}) <= 4
    assert field_um("stroma") == field_um("no such concept") == 256


def test_merging_is_transitive_and_leaves_neighbours_apart():
    truth = np.zeros((40, 200), np.int32)
    truth[10:14, 5:195] = 1  # one long object through every tile
    truth[20:24, 30:60] = 2
    truth[20:24, 61:90] = 3  # a neighbour, one pixel away
    tiles = grid(40, 200, 50, 0.3)
    parts = [(t, ndimage.label(truth[t.at])[0]) for t in tiles]
    merged = merge_labels(40, 200, parts)
    assert merged.max() == 3
    for number in (1, 2, 3):
        assert len(np.unique(merged[truth == number])) == 1
    assert ((merged > 0) == (truth > 0)).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 20000), (3, 5)])
def test_odd_shapes_are_answered(shape):
    image = np.full((*shape, 3), 20, np.uint8)
    answer = ask(ColourModel(), image, field_um=64.0)
    assert answer.mask is None or answer.mask.shape == shape


def test_objects_of_two_tiles_that_hardly_touch_stay_two():
    boxes = [TileBox(0, 0, 20, 20), TileBox(0, 10, 20, 30)]
    seen = [np.zeros((20, 20), np.int32) for _ in boxes]
    seen[0][4:16, 4:13] = 1
    seen[1][15:19, 2:16] = 1  # a pixel of the picture, y 15, x 12, is of both
    assert merge_labels(20, 30, list(zip(boxes, seen, strict=True))).max() == 2
    seen[1][4:16, 0:3] = 1  # and now it is the other one's right end
    assert merge_labels(20, 30, list(zip(boxes, seen, strict=True))).max() == 1
