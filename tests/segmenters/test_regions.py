"""The network of regions: what pixels may be, what it learns from, what it is read as."""

import numpy as np
import pytest
import torch

from miner.core.errors import Refused
from segmenters.regions import outputs, weights
from segmenters.regions.model import Encoder, RegionNet
from segmenters.training import targets
from segmenters.training.regions import crops, tiles, train
from segmenters.training.regions.rows import Row
from segmenters.training.views import Looks
from segmenters.unet.predict import predict

CLASSES = outputs.CLASSES


def row(**fields: object) -> Row:
    standard = {
        "id": "x/1",
        "source": "x",
        "group": "g",
        "kept": False,
        "file": None,
        "mpp": 1.0,
        "stain": "H&E",
        "organ": None,
        "code": None,
        "entities": {},
    }
    return Row(**(standard | fields))


def half() -> np.ndarray:
    mask = np.zeros((8, 8), np.uint8)
    mask[:, :4] = 1
    return mask


NOTHING = np.zeros((8, 8), bool)


@pytest.mark.parametrize("entity", sorted(tiles.CLASS_OF))
def test_inside_a_mask_is_one_class_and_outside_it_any_other(entity):
    allowed = tiles.allowed_of(row(), {entity: half()}, NOTHING)
    own = tiles.bit(tiles.CLASS_OF[entity])
    assert (allowed[:, :4] == own).all()
    assert (allowed[:, 4:] == tiles.EVERYTHING ^ own).all()


def test_an_entity_that_is_not_listed_is_unknown():
    allowed = tiles.allowed_of(row(), {"nuclei": half()}, NOTHING)
    assert (allowed == tiles.EVERYTHING).all()


def test_what_is_outside_of_one_mask_and_in_another_is_the_other():
    allowed = tiles.allowed_of(row(), {"stroma": half(), "epithelium": 1 - half()}, NOTHING)
    assert (allowed[:, :4] == tiles.bit("stroma")).all()
    assert (allowed[:, 4:] == tiles.bit("epithelium")).all()


@pytest.mark.parametrize(("entity", "hollow"), [("stroma", False), ("fat", True)])
def test_what_holds_nothing_is_no_solid_tissue(entity, hollow):
    allowed = tiles.allowed_of(row(), {entity: half()}, ~NOTHING)
    assert ((allowed[:, :4] == tiles.bit(tiles.CLASS_OF[entity])) == hollow).all()


def state(seed: int = 0) -> RegionNet:
    torch.manual_seed(seed)
    return RegionNet(outputs.RegionHead.outputs)


def test_the_published_encoder_fills_every_layer(tmp_path):
    own, published, block = Encoder().state_dict(), {}, -1
    layers = {"expand": ("_expand_conv", "_bn0"), "filter": ("_depthwise_conv", "_bn1")}
    layers["project"] = ("_project_conv", "_bn2")
    last = None
    for name, value in own.items():
        parts = name.split(".")
        if parts[0] == "stem":
            published[f"{('_conv_stem', '_bn0')[int(parts[1])]}.{parts[2]}"] = value
            continue
        if parts[1:3] != last:
            last, block = parts[1:3], block + 1
        published[f"_blocks.{block}.{layers[parts[3]][int(parts[4])]}.{parts[5]}"] = value
    torch.save(published, tmp_path / "published.pth")
    read = train.pretrained(tmp_path / "published.pth")
    assert read.keys() == own.keys()
    assert all(torch.equal(read[name], own[name]) for name in own)


def test_large_variances_survive_the_file(tmp_path):
    net = state()
    net.up[0][1].running_var.fill_(1e6)
    pixels = torch.rand(1, 3, 32, 32)
    weights.save(net, tmp_path / "w.pt")
    with torch.no_grad():
        want = net.eval()(pixels)
        found = weights.load(tmp_path / "w.pt")(pixels).float()
    assert torch.allclose(want, found, atol=0.02)


def test_weights_of_another_network_are_refused(tmp_path):
    torch.save({"x": torch.zeros(1)}, tmp_path / "w.pt")
    with pytest.raises(Refused, match="not the weights"):
        weights.load(tmp_path / "w.pt")


def test_maps_have_the_size_of_the_picture_and_classes_sum_to_one():
    maps = predict(state().eval(), outputs.RegionHead(), np.zeros((50, 70, 3), np.uint8))
    assert maps.shape == (outputs.RegionHead.outputs, 50, 70)
    assert np.allclose(maps[: len(CLASSES)].sum(axis=0), 1, atol=1e-3)
    assert np.allclose(maps[-len(outputs.KINDS) :].sum(axis=0), 1, atol=1e-3)


def loss(logits: torch.Tensor, allowed: list[str]) -> float:
    shape = logits.shape[2:]
    may = torch.zeros(1, len(CLASSES), *shape, dtype=torch.bool)
    for name in allowed:
        may[:, CLASSES.index(name)] = True
    maps = torch.zeros(1, len(outputs.MAPS), *shape)
    kinds = torch.full((1, *shape), targets.IGNORE)
    return float(train.loss_of(logits, may, maps, maps, kinds))


def sure_of(name: str) -> torch.Tensor:
    logits = torch.zeros(1, outputs.RegionHead.outputs, 16, 16)
    logits[:, CLASSES.index(name)] = 9
    return logits


def test_what_is_unknown_costs_nothing():
    assert loss(sure_of("fat"), list(CLASSES)) == 0


def test_any_of_what_a_pixel_may_be_is_right():
    either = ["stroma", "muscle"]
    right = [loss(sure_of(name), either) for name in either]
    wrong = [loss(sure_of(name), either) for name in CLASSES if name not in either]
    assert max(right) < 0.01
    assert min(wrong) > 1


def test_the_class_itself_is_better_than_any_other():
    losses = {name: loss(sure_of(name), ["mucin"]) for name in CLASSES}
    assert min(losses, key=losses.get) == "mucin"


@pytest.mark.parametrize("seed", range(4))
def test_a_crop_says_nothing_but_what_its_tile_does(seed):
    shape = (96, 96)
    image = np.full((*shape, 3), 150, np.uint8)
    blank = np.zeros(shape, np.uint8)
    labels = {name: blank for name in ("gland", "known gland", "lumen", "malignant", "kinds")}
    labels["allowed"] = np.full(shape, tiles.bit("muscle"), np.uint16)
    tile = tiles.TrainingTile("x/1", "x", image, 1.0, labels)
    rng = np.random.default_rng(seed)
    _, allowed, _, known, kinds = crops.crop(lambda: tile, 64, Looks(), rng)
    assert allowed[CLASSES.index("muscle")].all()
    assert allowed.sum() == 64 * 64
    assert known.sum() == 0
    assert (kinds == targets.IGNORE).all()
