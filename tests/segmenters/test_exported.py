"""Experts saved as TorchScript and ONNX."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from miner.core.errors import Refused
from segmenters.exported import ExportedConfig, ExportedSegmenter
from segmenters.probability import RegionConfig
from segmenters.protocol import Prompt

REGIONS = RegionConfig(min_area_um2=0, max_hole_um2=0)
NUCLEI = Prompt("nucleus", "object", ("nuclei",))
LYMPHOCYTES = Prompt("lymphocyte", "object", ("lymphocytes",))
FAT = Prompt("fat", "stuff", ("fat",))


class Dark(nn.Module):
    """Logits: background, red dark things, blue dark things."""

    def forward(self, x):
        red, blue = x[:, 0], x[:, 2]
        dark = 20 * (0.4 - x.mean(dim=1))
        return torch.stack((-dark, dark + 20 * (red - blue), dark + 20 * (blue - red)), dim=1)


class Instances(nn.Module):
    """Columns of 16 px are objects 1, 2, 3 ...; those in the upper half are of class 2."""

    def forward(self, x):
        n, _, h, w = x.shape
        columns = torch.arange(w).float().div(16).floor() + 1
        labels = torch.where(x.mean(dim=1) < 0.4, columns.expand(n, h, w), torch.zeros(1))
        kinds = torch.where(x[:, 0] > x[:, 2], 1.0, 2.0)
        return torch.stack((labels, kinds), dim=1)


def discs():
    """Red and blue dark discs on white at 0.5 um per px, uint8 (H, W, 3), and their masks."""
    y, x = np.mgrid[:200, :300]
    image = np.full((200, 300, 3), 240, np.uint8)
    red = (y - 50) ** 2 + (x - 60) ** 2 < 400
    blue = (y - 120) ** 2 + (x - 128) ** 2 < 400  # across the border of two tiles
    image[red] = (90, 20, 20)
    image[blue] = (20, 20, 90)
    return image, red, blue


@pytest.fixture(scope="module")
def torchscript(tmp_path_factory):
    path = tmp_path_factory.mktemp("exported") / "dark.pt"
    torch.jit.script(Dark()).save(str(path))
    return path


def expert(path, **more):
    settings = {
        "model": str(path),
        "classes": {1: "neutrophil", 2: "lymphocyte"},
        "output": "logits",
        "mpp": 0.5,
        "tile_px": 128,
        "std": (255.0, 255.0, 255.0),
        "regions": REGIONS,
    }
    settings |= more
    file = Path(settings["model"])
    if file.suffix == ".pt" and file.exists() and "sha256" not in settings:
        settings["sha256"] = hashlib.sha256(file.read_bytes()).hexdigest()
    return ExportedSegmenter(ExportedConfig(**settings))


def iou(a, b):
    return (a & b).sum() / (a | b).sum()


@pytest.mark.parametrize("mpp", [0.5, 0.25, 1.0, None])
def test_classes_become_concepts_at_any_scale(torchscript, mpp):
    image, red, blue = discs()
    segmenter = expert(torchscript)
    encoded = segmenter.encode(image, mpp)
    nuclei, lymphocytes, fat = segmenter.segment(encoded, [NUCLEI, LYMPHOCYTES, FAT])
    assert iou(lymphocytes.mask, blue) > 0.93
    assert iou(nuclei.mask, red | blue) > 0.93  # lymphocytes and neutrophils are nuclei
    assert ((nuclei.labels > 0) == nuclei.mask).all()
    assert nuclei.labels.max() >= 2
    assert 0.9 < lymphocytes.confidence <= 1
    assert fat.reason == "unsupported"
    assert segmenter.supports("nucleus")
    assert not segmenter.supports("fat")


def test_onnx_equals_torchscript(torchscript):
    """`dark.onnx` is `torch.onnx.export(Dark(), zeros(1, 3, 128, 128), dynamo=False)`."""
    image, _, _ = discs()
    found = []
    for file in (torchscript, Path(__file__).with_name("dark.onnx")):
        segmenter = expert(file)
        found.append(segmenter.segment(segmenter.encode(image, 0.5), [NUCLEI])[0])
    assert (found[0].mask == found[1].mask).all()
    np.testing.assert_allclose(found[0].confidence, found[1].confidence, atol=1e-5)


def test_instances_keep_their_identity_across_tiles(tmp_path):
    path = tmp_path / "instances.pt"
    torch.jit.script(Instances()).save(str(path))
    image = np.full((64, 160, 3), 240, np.uint8)
    image[10:20, 16:32] = (90, 20, 20)
    image[30:50, 80:96] = (20, 20, 90)
    segmenter = expert(path, output="instances", tile_px=64)
    nuclei, lymphocytes = segmenter.segment(segmenter.encode(image, 0.5), [NUCLEI, LYMPHOCYTES])
    assert (nuclei.mask == (image.mean(axis=2) < 100)).all()
    assert len(np.unique(nuclei.labels[10:20, 16:32])) == 1
    assert (lymphocytes.mask[30:50, 80:96]).all()
    assert not lymphocytes.mask[10:20].any()


def test_a_class_can_be_several_concepts_and_all_more_general_ones(torchscript):
    segmenter = expert(torchscript, classes={1: ["tumor cell", "nucleus"], 2: "plasma cell"})
    assert segmenter.supports("tumor cell")
    assert segmenter.supports("lymphocyte")  # a plasma cell is one
    image, red, blue = discs()
    nuclei = segmenter.segment(segmenter.encode(image, 0.5), [NUCLEI])[0]
    assert iou(nuclei.mask, red | blue) > 0.93


def test_nothing_found_is_empty(torchscript):
    segmenter = expert(torchscript)
    white = np.full((30, 1, 3), 250, np.uint8)
    answer = segmenter.segment(segmenter.encode(white, 0.5), [NUCLEI])[0]
    assert (answer.mask, answer.reason) == (None, "empty")


def test_bad_files_and_tables_are_refused(torchscript, tmp_path):
    text = tmp_path / "text.pt"
    text.write_text("no model")
    onnx = tmp_path / "text.onnx"
    onnx.write_text("no model")
    cases = [
        ({"model": str(tmp_path / "none.pt")}, "is not there"),
        ({"model": str(text)}, "no TorchScript file"),
        ({"model": str(onnx)}, "no ONNX file"),
        ({"classes": {1: "unicorn"}}, "unicorn"),
    ]
    for change, words in cases:
        with pytest.raises(Refused, match=words) as error:
            expert(torchscript, **change)
        assert "\n" not in str(error.value)


def test_channels_that_do_not_exist_are_reported(torchscript):
    segmenter = expert(torchscript, classes={7: "lymphocyte"})
    with pytest.raises(ValueError, match="no channel 7"):
        segmenter.encode(discs()[0], 0.5)


class Writer(nn.Module):
    """Writes a file while it runs, as TorchScript may."""

    def __init__(self, path):
        super().__init__()
        self.path = path

    def forward(self, x):
        torch.save(x, self.path)
        return x


def test_a_program_runs_only_if_it_is_the_one_that_is_trusted(tmp_path, torchscript):
    trusted = hashlib.sha256(torchscript.read_bytes()).hexdigest()
    with pytest.raises(Refused, match=f"a program that may .* set sha256: {trusted}"):
        expert(torchscript, sha256="")
    other = tmp_path / "other.pt"
    torch.jit.script(Writer(str(tmp_path / "written"))).save(str(other))
    with pytest.raises(Refused, match="if you trust whoever made it"):
        expert(other, sha256=trusted)
    assert not (tmp_path / "written").exists()


def test_instances_without_classes_are_of_the_first_one(tmp_path):
    path = tmp_path / "instances.pt"
    torch.jit.script(Instances()).save(str(path))
    segmenter = expert(path, output="instances", tile_px=64)
    network = segmenter._network
    segmenter._network = lambda x: network(x)[:, :1]
    image = np.full((64, 64, 3), 240, np.uint8)
    image[10:20, 16:32] = (20, 20, 90)
    nuclei, lymphocytes = segmenter.segment(segmenter.encode(image, 0.5), [NUCLEI, LYMPHOCYTES])
    assert nuclei.mask.sum() == 160
    assert lymphocytes.mask is None
