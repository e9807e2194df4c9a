"""The network of kinds of nuclei: what it is taught, what it is shown, how its word counts."""

import cv2
import numpy as np
import pytest
import torch

from segmenters.kinds import model
from segmenters.stain.style import style_of
from segmenters.training import kind_net
from segmenters.training.data import TrainingTile
from segmenters.training.regions import train
from segmenters.training.regions.rows import Entity, Row
from segmenters.training.views import Looks
from segmenters.unet import kinds
from segmenters.unet.predict import predict

LYMPHOCYTE = kinds.KINDS.index("lymphocyte")


def row(tmp_path, code=None, **drawn: np.ndarray) -> Row:
    """A tile of 60 px at the scale of the network, with label maps."""
    image = np.full((60, 60, 3), 230, np.uint8)
    cv2.imwrite(str(tmp_path / "tile.png"), image)
    entities = {}
    for name, mask in drawn.items():
        cv2.imwrite(str(tmp_path / f"{name}.png"), mask.astype(np.uint16))
        entities[name] = Entity(tmp_path / f"{name}.png", False, "expert")
    file = tmp_path / "tile.png"
    return Row("s/1", "s", "g", False, file, model.MPP, "H&E", None, code, entities)


def labels(*places: tuple[int, int]) -> np.ndarray:
    found = np.zeros((60, 60), np.int32)
    for i, (y, x) in enumerate(places):
        found[y : y + 8, x : x + 8] = i + 1
    return found


def test_outlined_kinds_are_taught_one_by_one_and_the_rest_is_unknown(tmp_path):
    lymphocytes, tumor = labels((4, 4), (30, 30)), labels((4, 40))
    tile = kind_net.read(row(tmp_path, lymphocyte=lymphocytes, tumor_nuclei=tumor))
    assert tile is not None
    taught = tile.labels["kinds"]
    assert (taught[lymphocytes > 0] == 1 + LYMPHOCYTE).all()
    assert (taught[tumor > 0] == 1 + kinds.KINDS.index("epithelial nucleus")).all()
    assert (taught[(lymphocytes == 0) & (tumor == 0)] == 0).all()
    assert len(np.unique(tile.labels["nuclei"])) == 4


def test_all_nuclei_of_a_spleen_are_taken_for_lymphocytes(tmp_path):
    nuclei = labels((4, 4), (30, 30))
    tile = kind_net.read(row(tmp_path, "human_spleen", nuclei=nuclei))
    assert tile is not None
    assert (tile.labels["kinds"][nuclei > 0] == 1 + LYMPHOCYTE).all()


def test_nuclei_of_which_nothing_is_known_teach_nothing(tmp_path):
    assert kind_net.read(row(tmp_path, nuclei=labels((4, 4)))) is None


def test_the_loss_asks_of_known_nuclei_alone():
    logits = torch.zeros(1, len(kinds.KINDS), 4, 4)
    known = torch.zeros(1, 4, 4, dtype=torch.int64)
    assert float(kind_net.loss_of(logits, known, torch.ones(1, 4, 4))) == 0
    known[0, 0, 0] = 1 + LYMPHOCYTE
    sure = logits.clone()
    sure[0, LYMPHOCYTE, 0, 0] = 8
    sure[0, 0, 1:] = 8  # whatever is said elsewhere
    weight = torch.ones(1, 4, 4)
    before, after = (float(kind_net.loss_of(v, known, weight)) for v in (logits, sure))
    assert after < before / 2


def test_a_large_nucleus_counts_as_much_as_a_small_one():
    nuclei = np.zeros((400, 400), np.int32)
    nuclei[50:350, 50:200], nuclei[190:206, 240:256] = 1, 2
    image = np.full((400, 400, 3), 200, np.uint8)
    maps = {"kinds": (nuclei > 0).astype(np.uint8), "nuclei": nuclei.astype(np.uint16)}
    tile = TrainingTile("phantom/1", "phantom", image, 0.45, maps)
    sampler = kind_net.Sampler([tile], 0, Looks())
    seen = 0
    for _ in range(20):
        _, known, weight = sampler.crop()
        sums = np.sort([weight[weight == v].sum() for v in np.unique(weight[known > 0])])
        if len(sums) == 2:
            seen += 1
            assert sums == pytest.approx([1, 1], abs=1e-4)
    assert seen > 5


def test_what_the_network_is_shown_has_its_usual_colours():
    rng = np.random.default_rng(0)
    tissue = rng.normal((150, 90, 170), 18, (200, 200, 3)).clip(0, 255).astype(np.uint8)
    shown = style_of(model.usual_colours(tissue))
    own = style_of(tissue)
    assert shown is not None
    assert own is not None
    assert np.abs(own[0] - model.USUAL[0]).max() > 0.1
    assert np.abs(shown[0] - model.USUAL[0]).max() < 0.05
    glass = np.full((50, 50, 3), 245, np.uint8)
    assert np.array_equal(model.usual_colours(glass), glass)


def test_maps_have_the_size_of_the_picture():
    net = model.load()
    with torch.inference_mode():
        maps = model.KindHead.activate(net(torch.rand(1, 3, 64, 96)).float())
    assert maps.shape == (1, len(kinds.KINDS), 32, 48)
    assert torch.allclose(maps.sum(1), torch.ones(1, 32, 48), atol=1e-3)
    assert predict(net, model.KindHead(), np.zeros((63, 90, 3), np.uint8)).shape[1:] == (63, 90)


def test_kinds_follow_the_network_where_the_nucleus_itself_says_little():
    even = np.full((1, 5), 0.2, np.float32)
    sure = np.array([[0.02, 0.92, 0.02, 0.02, 0.02]], np.float32)
    found = kinds.together(even, even, sure)
    assert found.argmax() == LYMPHOCYTE
    assert found.sum() == pytest.approx(1, abs=1e-5)
    # Three that say the same are not surer than each of them.
    assert kinds.together(sure, sure, sure).max() == pytest.approx(0.92, abs=0.02)


def test_an_interrupted_training_ends_as_an_uninterrupted_one(tmp_path, monkeypatch):
    monkeypatch.setattr(kind_net, "CROP_PX", 32)
    monkeypatch.setattr(kind_net, "BATCH", 1)
    monkeypatch.setattr(train, "SAVE_EVERY", 2)
    maps = {"kinds": (labels((4, 4)) > 0).astype(np.uint8), "nuclei": labels((4, 4))}
    image = np.random.default_rng(0).integers(60, 220, (60, 60, 3), np.uint8)
    tile = TrainingTile("phantom/1", "phantom", image, 1.0, maps)

    def begin(name: str, batches: float) -> None:
        torch.manual_seed(0)
        sampler = kind_net.Sampler([tile], 0, Looks())
        drawn, draw = [], sampler.batch

        def batch() -> tuple[torch.Tensor, ...]:
            if len(drawn) == batches:
                raise KeyboardInterrupt
            drawn.append(1)
            return draw()

        sampler.batch = batch  # type: ignore[method-assign]
        train.train(sampler, model.KindNet(), kind_net.loss_of, 4, tmp_path / name, None)

    begin("straight.pt", np.inf)
    with pytest.raises(KeyboardInterrupt):
        begin("broken.pt", 3)
    begin("broken.pt", 2)
    straight, broken = (torch.load(tmp_path / n) for n in ("straight.pt", "broken.pt"))
    assert all(torch.equal(straight[name], broken[name]) for name in straight)
    assert not list(tmp_path.glob("*.resume"))
