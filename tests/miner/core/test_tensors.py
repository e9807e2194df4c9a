"""Checkpoints: plain tensors as they were saved, or one line."""

from __future__ import annotations

import os
import pickle

import pytest
import torch
from safetensors.torch import save_file

from miner.core.errors import Refused
from miner.core.tensors import read_tensors
from segmenters.mitoses import model as mitoses
from segmenters.regions import weights as regions
from segmenters.unet import weights as unet


@pytest.fixture(params=["w.pt", "w.safetensors"])
def path(request, tmp_path):
    """A checkpoint of one tensor."""
    file = tmp_path / request.param
    tensors = {"w": torch.arange(4096, dtype=torch.float32)}
    save_file(tensors, file) if file.suffix == ".safetensors" else torch.save(tensors, file)
    return file


@pytest.mark.parametrize("mmap", [False, True])
def test_what_was_saved_is_read(path, mmap):
    assert torch.equal(read_tensors(path, mmap)["w"], torch.arange(4096, dtype=torch.float32))


@pytest.mark.parametrize("cut", [0, 1, 60, 5000])
def test_a_cut_file_is_refused_by_name(path, cut):
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(Refused, match=f"{path.name}: .*") as said:
        read_tensors(path)
    assert "\n" not in str(said.value)


def test_a_flipped_bit_in_a_tensor_is_found(tmp_path):
    file = tmp_path / "w.pt"
    torch.save({"w": torch.arange(4096, dtype=torch.float32)}, file)
    data = bytearray(file.read_bytes())
    data[data.index(torch.tensor([1000.0, 1001.0]).numpy().tobytes())] ^= 1
    file.write_bytes(data)
    assert not torch.equal(torch.load(file)["w"], torch.arange(4096.0))  # torch says nothing
    with pytest.raises(Refused, match=r"w\.pt: damaged: .*CRC-32"):
        read_tensors(file)


def test_nothing_is_executed(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "executed"),)

    file = tmp_path / "w.pt"
    file.write_bytes(pickle.dumps({"w": Evil()}))
    with pytest.raises(Refused, match="would execute code"):
        read_tensors(file)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("load", [lambda p: unet.load("nuclei", p), regions.load, mitoses.load])
def test_weights_of_another_network_are_refused(path, load):
    with pytest.raises(Refused, match="not the weights of this network"):
        load(path)
