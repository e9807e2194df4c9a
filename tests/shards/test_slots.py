"""Batches of worker processes: kept as long as one likes, their memory used again after that."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from shards import GroundedCaptions, GroundedStream, StreamLoader
from shards.slots import Held, Slots


@pytest.mark.parametrize("workers", [1, 2])
def test_batches_that_are_kept_stay_what_they_were(out: Path, workers: int) -> None:
    dataset = GroundedCaptions(out, "train")
    expected = {dataset[i]["key"]: dataset[i] for i in range(len(dataset))}
    loader = StreamLoader(GroundedStream(out, "train", shuffle=True), 2, workers)
    for _ in range(2):
        batches = list(loader)
        assert sum(len(batch["key"]) for batch in batches) == len(dataset)
        for batch in batches:
            for i, key in enumerate(batch["key"]):
                assert torch.equal(batch["images"][i], expected[key]["image"])
                assert torch.equal(batch["masks"][i], expected[key]["masks"])


def test_a_view_keeps_its_batch(out: Path) -> None:
    """Every epoch has new workers; what an old one wrote must not change under a consumer."""
    dataset = GroundedCaptions(out, "train")
    loader = StreamLoader(GroundedStream(out, "train"), 3, 1)
    kept = [batch["masks"][2][0].numpy() for _ in range(2) for batch in loader]
    expected = [dataset[i]["masks"][0].numpy() for i in (*range(2, 30, 3), *range(2, 30, 3))]
    assert all((a == b).all() for a, b in zip(kept, expected, strict=True))


def test_memory_is_used_again_when_batches_are_dropped(out: Path) -> None:
    loader = StreamLoader(GroundedStream(out, "train"), 1, 1)
    assert sum(len(batch["key"]) for batch in loader) == 30
    assert 1 <= len(loader._held._pieces) <= 5
    assert not loader._placed.slots.taken.any()


def test_a_consumer_may_hold_more_than_there_are_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    info = type("Info", (), {"id": 0})()
    monkeypatch.setattr(torch.utils.data, "get_worker_info", lambda: info)
    slots = Slots(1, most=2)
    held = Held(slots)
    found = []
    for value in range(4):
        memory, parcel = slots.take(10 + value)
        memory.fill_(value)
        found.append(held.open(parcel))
        assert (parcel.slot is None) == (value >= 2)
    assert [int(t[0]) for t in found] == [0, 1, 2, 3]
    view = found[1][:3]
    found = []
    assert slots.taken.tolist() == [[0, 1]]
    memory, parcel = slots.take(11)
    assert (parcel.slot, parcel.piece) == (0, None)
    del view
    assert slots.taken.tolist() == [[1, 0]]
    memory, parcel = slots.take(1000)  # too much for what the slot has: a larger piece is sent
    assert parcel.slot == 1
    assert parcel.piece is not None
    assert held.open(parcel).data_ptr() == memory.data_ptr()


def test_pinned_batches_travel_as_tensors(out: Path) -> None:
    loader = StreamLoader(GroundedStream(out, "train"), 4, 1, pin_memory=True)
    assert sum(len(batch["key"]) for batch in loader) == 30
    assert loader._held._pieces == {}
