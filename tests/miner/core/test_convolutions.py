"""Networks made ready to predict: the same numbers in fewer steps."""

import copy

import pytest
import torch
from torch import nn

from miner.core import convolutions
from miner.core.bfloat16 import NATIVE, autocast
from miner.core.convolutions import Activated, ready


def network() -> nn.Sequential:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(inplace=True),
        nn.Conv2d(8, 8, 5, 2, 2, groups=8, bias=False), nn.BatchNorm2d(8), nn.ReLU6(),
        nn.Conv2d(8, 16, 1), nn.GELU(),
        nn.Conv2d(16, 4, 1),
    )  # fmt: skip
    for norm in net.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.running_mean.uniform_(-1, 1)
            norm.running_var.uniform_(0.5, 2)
            norm.weight.data.uniform_(0.5, 6)
            norm.bias.data.uniform_(-1, 3)
    return net.eval()


@pytest.mark.parametrize("size", [(32, 32), (7, 45)])
def test_a_network_made_ready_predicts_the_same(size, monkeypatch):
    monkeypatch.setattr(convolutions, "NATIVE", False)
    net = network()
    pixels = torch.rand(2, 3, *size) * 4
    with torch.inference_mode():
        before, after = net(pixels), ready(copy.deepcopy(net))(pixels)
    assert float(before.std()) > 0.1
    assert torch.allclose(before, after, atol=1e-4)


@pytest.mark.skipif(not NATIVE, reason="the CPU does not multiply in bfloat16")
def test_in_bfloat16_the_bits_are_those_of_autocast():
    net = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 4, 1))
    net.to(memory_format=torch.channels_last)  # else the sums are in another order
    pixels = torch.rand(1, 3, 40, 50).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode(), autocast():
        assert torch.equal(net(pixels), ready(copy.deepcopy(net))(pixels))


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch has no oneDNN")
def test_normalisations_and_activations_become_part_of_the_convolutions():
    steps = [type(step) for step in ready(network())]
    none = nn.Identity
    assert steps == [Activated, none, none, Activated, none, none, Activated, nn.GELU, Activated]


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch has no oneDNN")
def test_activations_are_at_work():
    clipped = ready(nn.Sequential(nn.Conv2d(1, 1, 1), nn.ReLU6()))
    with torch.inference_mode():
        clipped[0].weight, clipped[0].bias = nn.Parameter(torch.ones(1, 1, 1, 1)), None
        net = Activated(clipped[0], nn.ReLU6())
        found = net(torch.tensor([-3.0, 2.0, 9.0]).reshape(1, 1, 1, 3)).float()
    assert found.flatten().tolist() == [0.0, 2.0, 6.0]


def test_weights_can_be_read_afterwards():
    before, after = (ready(network()).state_dict() for _ in range(2))
    assert [name for name in before if name.endswith("weight")]
    assert all(torch.equal(before[name], after[name]) for name in before)
