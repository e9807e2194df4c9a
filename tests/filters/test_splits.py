from collections import Counter

from filters.splits import split_of

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
