"""The small networks, untrained: shapes, targets, objects, resuming."""

import dataclasses

import cv2
import numpy as np
import pytest
import torch

from miner.core.bfloat16 import autocast
from miner.core.errors import Refused
from segmenters.stain import colour
from segmenters.training import augment, data, fit_kinds, targets, train
from segmenters.training import glomeruli as glomeruli_crops
from segmenters.unet import darkness, glomeruli, objects, predict, weights
from segmenters.unet.model import Unet
from segmenters.unet.outputs import HEADS, NUCLEI
from segmenters.unet.weights import load


@pytest.fixture(scope="module")
def model() -> Unet:
    torch.manual_seed(0)
    return Unet(NUCLEI.outputs, (4, 8, 8, 8)).eval()


def discs(centres: list, radius: int = 6, size: int = 64) -> np.ndarray:
    yy, xx = np.mgrid[:size, :size]
    labels = np.zeros((size, size), np.int32)
    for i, (y, x) in enumerate(centres, start=1):
        labels[(yy - y) ** 2 + (xx - x) ** 2 <= radius**2] = i
    return labels


def test_maps_have_the_size_of_the_picture(model):
    image = np.random.default_rng(0).integers(0, 255, (37, 51, 3), np.uint8)
    maps = predict.predict(model, NUCLEI, image)
    assert maps.shape == (NUCLEI.outputs, 37, 51)
    k = len(NUCLEI.sigmoid)
    assert np.allclose(maps[k:].sum(axis=0), 1, atol=1e-5)


def test_maps_are_what_the_network_says_of_each_pixel(model):
    image = np.random.default_rng(0).integers(0, 255, (32, 48, 3), np.uint8)
    padded = np.pad(image, ((0, 16), (0, 16), (0, 0)), mode="symmetric")
    pixels = torch.from_numpy(padded).permute(2, 0, 1)[None].float() / 255
    with torch.inference_mode(), autocast():
        logits = model(pixels)
    plain = NUCLEI.activate(logits.float())[0, :, :32, :48].numpy()
    maps = predict.predict(model, NUCLEI, image)
    assert maps.std(axis=(1, 2)).min() > 1e-3
    assert np.abs(maps - plain).max() < 1e-4
    some = predict.predict(model, NUCLEI, image, len(NUCLEI.sigmoid))
    assert np.array_equal(some, maps[: len(NUCLEI.sigmoid)])


def test_tiles_leave_no_seam(model, monkeypatch):
    image = np.random.default_rng(1).integers(0, 255, (320, 400, 3), np.uint8)
    whole = predict.predict(model, NUCLEI, image)
    monkeypatch.setattr(predict, "WHOLE_PX", 200)
    monkeypatch.setattr(predict, "TILE_PX", 256)
    tiled = predict.predict(model, NUCLEI, image)
    inner = np.abs(whole - tiled)[:, 64:-64, 64:-64]
    assert float(np.quantile(inner, 0.99)) < 0.05


def test_saved_weights_predict_the_same(tmp_path):
    torch.manual_seed(0)
    model = Unet(HEADS["glomeruli"].outputs, HEADS["glomeruli"].widths).eval()
    weights.save(model, tmp_path / "glomeruli.pt")
    image = np.random.default_rng(0).integers(0, 255, (32, 32, 3), np.uint8)
    one, two = (
        predict.predict(m, HEADS["glomeruli"], image)
        for m in (model, weights.load("glomeruli", tmp_path / "glomeruli.pt"))
    )
    assert np.abs(one - two).max() < 0.01


def test_weights_of_another_network_are_refused(tmp_path):
    weights.save(Unet(3, (4, 8, 8, 8)), tmp_path / "nuclei.pt")
    with pytest.raises(Refused, match="not the weights"):
        weights.load("nuclei", tmp_path / "nuclei.pt")


def test_centreness_peaks_inside_and_touching_objects_have_a_valley():
    labels = discs([(30, 22), (30, 35)])
    depth = targets.centreness(labels)
    assert depth[30, 22] > 0.8
    assert depth[30, 35] > 0.8
    assert depth[30, 28] < 0.5
    assert (depth[labels == 0] == 0).all()


def test_objects_are_split_by_depth():
    labels = discs([(30, 22), (30, 34), (50, 50)])
    probability = (labels > 0).astype(np.float32)
    found = objects.split(probability, targets.centreness(labels), objects.NUCLEI, 10)
    assert found.max() == 3
    assert np.array_equal(found > 0, labels > 0)


def test_enlarged_objects_follow_the_probability():
    labels = discs([(20, 20)])
    probability = (labels > 0).astype(np.float32)
    big, fine = objects.enlarge(labels, probability, 0.5, (128, 128))
    assert set(np.unique(big)) == {0, 1}
    assert np.array_equal(big > 0, fine > 0.5)


def test_objects_grow_into_what_is_free_and_keep_their_own():
    labels = discs([(20, 20), (20, 34)])
    free = np.zeros((64, 64), bool)
    free[:, :40] = True
    found = objects.grow(labels, free, 3)
    assert (found[labels > 0] == labels[labels > 0]).all()
    assert found[20, 12] == labels[20, 20]
    assert found[20, 27] in (labels[20, 20], labels[20, 34])
    assert not found[20, 41:].any()
    assert not found[20, :11].any()


def test_dark_pixels_at_the_rim_are_nucleus_and_pale_ones_are_not():
    labels = discs([(20, 20), (44, 44)], radius=7)
    rim = cv2.dilate(labels.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    probability = np.where(labels > 0, 0.95, np.where(rim, 0.5, 0.02)).astype(np.float32)
    density = np.where(labels > 0, 0.8, 0.2).astype(np.float32)
    left = rim & (np.arange(64) < 32)
    density[left] = 0.8
    found = darkness.sharpen(probability, density)
    assert (found[left] > 0.5).all()
    assert (found[rim & ~left & (labels == 0)] < 0.5).all()
    assert (found[labels > 0] > 0.9).all()
    assert (found[~rim] < 0.1).all()


def test_without_nuclei_to_compare_with_darkness_says_nothing():
    probability = np.full((64, 64), 0.4, np.float32)
    density = np.random.default_rng(0).random((64, 64), np.float32)
    assert (darkness.sharpen(probability, density) == probability).all()


def test_glomeruli_have_no_holes_and_specks_are_none():
    probability = (discs([(32, 32)], radius=14) > 0).astype(np.float32)
    probability[30:34, 30:34] = 0.1
    probability[58:60, 58:60] = 0.9
    labels = glomeruli.find(probability, 3.0)
    assert labels.max() == 1
    assert labels[32, 32] == 1
    assert labels[58, 58] == 0


def test_a_patient_is_on_one_side_of_the_split():
    rows = [{"set": "tnbc", "id": f"tnbc/0{p}_{i}"} for p in range(1, 9) for i in range(4)]
    sides: dict = {}
    for row in rows:
        sides.setdefault(data.patient(row), set()).add(data.kept_apart(row))
    assert len(sides) == 8
    assert all(len(side) == 1 for side in sides.values())


def tile(net: str) -> data.TrainingTile:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (96, 96, 3), np.uint8)
    labels = discs([(30, 30), (60, 60)], size=96).astype(np.uint16)
    name = {"nuclei": "nuclei", "glomeruli": "glomerulus"}[net]
    return data.TrainingTile("x", "phantom", image, 1.0, {name: labels})


def crop(net: str) -> tuple:
    rng = np.random.default_rng(3)
    if net == "nuclei":
        return data.crop(tile(net), 64, rng)
    return glomeruli_crops.crop(tile(net), 64, rng)


@pytest.mark.parametrize("net", HEADS)
def test_crops_are_complete_and_repeatable(net):
    one, two = crop(net), crop(net)
    for a, b in zip(one, two, strict=True):
        assert np.array_equal(a, b)
    image, maps, known, classes = one
    assert image.shape == (64, 64, 3)
    assert maps.shape == known.shape == (len(HEADS[net].sigmoid), 64, 64)
    assert classes.shape == (64, 64)
    assert 0 <= maps.min()
    assert maps.max() <= 1


def test_derived_outlines_say_nothing_about_their_surroundings():
    derived = dataclasses.replace(tile("nuclei"), derived=True)
    for one, doubted in ((tile("nuclei"), False), (derived, True)):
        _, maps, known, _ = data.crop(one, 64, np.random.default_rng(3))
        outside = (maps[0] == 0) & (cv2.dilate(maps[0], np.ones((3, 3))) > 0)
        assert outside.any()
        assert bool((known[:2, outside] == 0).all()) == doubted


def test_a_tile_of_one_tissue_teaches_kinds_of_nuclei_and_no_outlines(tmp_path):
    image = np.full((96, 96, 3), 230, np.uint8)
    image[discs([(30, 30), (60, 60)], size=96) > 0] = (70, 40, 120)
    cv2.imwrite(str(tmp_path / "a.png"), image[..., ::-1])
    row = {
        "id": "crc_tissue/LYM-A", "set": "crc_tissue", "file": "a.png", "mpp": 0.5,
        "entities": None, "label_code": "LYM",
    }  # fmt: skip
    read = data.read_tile(tmp_path, row, "nuclei")
    _, _, known, classes = data.crop(read, 64, np.random.default_rng(0))
    assert not known[:2].any()
    assert set(np.unique(classes)) == {NUCLEI.softmax.index("lymphocyte"), targets.IGNORE}


def stains(haematoxylin: tuple, eosin: tuple, strength: tuple) -> colour.Stains:
    matrix = np.array([haematoxylin, eosin], np.float32)
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    white = np.full(3, 245, np.float32)
    return colour.Stains(matrix, white, np.array(strength, np.float32), 0)


def test_a_picture_takes_the_stains_of_another_and_gets_its_own_back():
    own = stains((0.65, 0.7, 0.29), (0.09, 0.95, 0.28), (1.0, 0.8))
    other = stains((0.55, 0.8, 0.2), (0.2, 0.9, 0.35), (1.4, 0.6))
    amounts = np.random.default_rng(0).uniform(0, 1, (32, 32, 2)) * own.strength
    image = np.clip(246 * np.exp(-(amounts @ own.matrix)) - 1, 0, 255).astype(np.uint8)
    moved = augment.transfer(image, own, other)
    wanted = 246 * np.exp(-(amounts / own.strength * other.strength @ other.matrix)) - 1
    assert np.abs(moved - wanted).max() < 5
    back = augment.transfer(moved, other, own).astype(int)
    assert np.abs(back - image).max() < 8


def test_restaining_keeps_the_shape_of_things():
    image = np.random.default_rng(0).integers(60, 250, (64, 64, 3), np.uint8)
    other = augment.restain(image, np.random.default_rng(1))
    assert np.corrcoef(image.mean(axis=2).ravel(), other.mean(axis=2).ravel())[0, 1] > 0.8


def test_a_resumed_training_ends_with_the_same_weights(tmp_path, monkeypatch):
    monkeypatch.setattr(train, "CROP_PX", {"nuclei": 32, "glomeruli": 32})
    monkeypatch.setattr(train, "BATCH", 2)
    monkeypatch.setattr(train, "Unet", lambda outputs, widths: Unet(outputs, (4, 8, 8, 8)))
    monkeypatch.setattr(train, "SAVE_EVERY", 2)
    straight, broken = tmp_path / "a.pt", tmp_path / "b.pt"
    train.train([tile("nuclei")], "nuclei", 4, 0, straight)

    class Stop(Exception):
        pass

    steps = []

    def rate(step: int, total: int) -> float:
        steps.append(step)
        if len(steps) == 4:
            raise Stop
        return original(step, total)

    original = train.rate
    monkeypatch.setattr(train, "rate", rate)
    with pytest.raises(Stop):
        train.train([tile("nuclei")], "nuclei", 4, 0, broken)
    monkeypatch.setattr(train, "rate", original)
    train.train([tile("nuclei")], "nuclei", 4, 0, broken)
    one, two = (torch.load(p, weights_only=True) for p in (straight, broken))
    assert all(torch.equal(one[k], two[k]) for k in one)
    assert not broken.with_suffix(".resume").exists()


def test_kinds_are_fitted_with_scales_known_unknown_and_wrong():
    image = np.full((32, 32, 3), 200, np.uint8)
    known = list(fit_kinds.views(image, 0.5, np.random.default_rng(0)))
    assert [mpp for _, mpp in known[:2]] == [None, 0.5]
    assert known[2][1] not in (None, 0.5)
    assert [mpp for _, mpp in fit_kinds.views(image, None, np.random.default_rng(0))] == [None] * 2


def test_shipped_weights_are_found_by_the_name_of_the_network():
    with torch.inference_mode():
        out = load("glomeruli")(torch.zeros(1, 3, 64, 64))
    assert torch.isfinite(out).all()
