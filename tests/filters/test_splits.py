from collections import Counter

import pytest

from filters.splits import distance, split_of

SHARES = {"train": 0.8, "val": 0.1, "test": 0.1}


def test_shares_are_met_and_a_group_has_one_split():
    found = Counter(split_of(f"g{i}", SHARES, seed=0) for i in range(5000))
    assert abs(found["train"] / 5000 - 0.8) < 0.02
    assert abs(found["val"] / 5000 - 0.1) < 0.02
    assert split_of("g1", SHARES, 0) == split_of("g1", SHARES, 0)


def test_the_seed_changes_the_assignment():
    groups = [f"g{i}" for i in range(100)]
    a, b = ([split_of(g, SHARES, seed) for g in groups] for seed in (0, 1))
    assert a != b


def test_the_order_of_the_shares_changes_nothing():
    turned = dict(sorted(SHARES.items(), reverse=True))
    groups = [f"g{i}" for i in range(200)]
    assert [split_of(g, SHARES, 3) for g in groups] == [split_of(g, turned, 3) for g in groups]


def test_the_distance_to_a_split_is_none_in_it_and_ends_at_its_edge():
    groups = [f"g{i}" for i in range(300)]
    for group in groups:
        at = {split: distance(group, split, SHARES, 3) for split in SHARES}
        assert [split for split in at if at[split] == 0] == [split_of(group, SHARES, 3)]
    # Laid out by name: test to .1, train to .9, then val.
    inner = [g for g in groups if split_of(g, SHARES, 3) == "train"]
    for group in inner:
        sides = distance(group, "test", SHARES, 3) + distance(group, "val", SHARES, 3)
        assert sides == pytest.approx(SHARES["train"])
