"""Splits of groups: copies bridge none, small sets leave none empty, later corpora move nothing."""

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from filters.splits import distance, split_of
from miner.barrier.groups import Layout, placed
from shards.validate import validate
from tests.miner.barrier.test_protect import ledger, made, mined
from tests.miner.finished import configuration

HALVES = Layout({"train": 0.5, "test": 0.5}, 0)
USUAL = Layout({"train": 0.9, "val": 0.05, "test": 0.05}, 0)

TRAIN, TEST = (
    [g for g in map(str, range(40)) if split_of(g, HALVES.shares, 0) == split]
    for split in ("train", "test")
)
# Groups that the hash puts into train, of which small sets have nothing else.
ALL_TRAIN = [g for g in map(str, range(60)) if split_of(g, USUAL.shares, 0) == "train"]

corpora = st.lists(st.lists(st.integers(0, 60).map(str), max_size=8), max_size=4)
pictures = st.dictionaries(st.integers(0, 60).map(str), st.sets(st.sampled_from("pqrstu")))


def by_hash(groups, layout=USUAL):
    return {g: split_of(g, layout.shares, layout.seed) for g in groups}


def test_groups_that_share_pictures_are_in_one_split():
    sharing = {TRAIN[0]: ["p"], TEST[0]: ["p", "q"], TEST[1]: ["q"]}
    found = placed([[TRAIN[0]], [TEST[0]], [TEST[1], TEST[2]]], sharing, HALVES)
    assert found == {TRAIN[0]: "train", TEST[0]: "train", TEST[1]: "train", TEST[2]: "test"}


def test_a_group_between_two_splits_is_left_out_and_moves_none():
    old = [TRAIN[0], TEST[0]]
    sharing = {TRAIN[0]: ["p"], TEST[0]: ["q"], TRAIN[1]: ["p", "q"]}
    new = placed([old, [TRAIN[1]]], sharing, HALVES)
    assert new == {TRAIN[0]: "train", TEST[0]: "test", TRAIN[1]: None}
    assert placed([old], {}, HALVES).items() <= new.items()


def test_the_groups_nearest_to_an_empty_split_move_into_it():
    groups = ALL_TRAIN[:5]
    found = placed([groups], {}, USUAL)

    def nearest(split, among):
        return min(among, key=lambda g: distance(g, split, USUAL.shares, USUAL.seed))

    test = nearest("test", groups)
    val = nearest("val", [g for g in groups if g != test])
    assert found == {**dict.fromkeys(groups, "train"), test: "test", val: "val"}


def test_fewer_groups_than_splits_stay_where_they_are():
    assert placed([ALL_TRAIN[:2]], {}, USUAL) == dict.fromkeys(ALL_TRAIN[:2], "train")
    assert set(placed([ALL_TRAIN[:3]], {}, USUAL).values()) == {"train", "val", "test"}


def test_a_group_that_shares_a_picture_moves_nowhere():
    a, b, c, d = ALL_TRAIN[:4]
    together = {a: ["p"], b: ["p"]}
    found = placed([[a, b, c, d]], together, USUAL)
    assert found[a] == found[b] == "train"
    assert {found[c], found[d]} == {"val", "test"}
    of_its_own = {a: ["p"], b: ["q"]}  # copies within a group are no bridge
    assert placed([[a, b, c]], of_its_own, USUAL) == placed([[a, b, c]], {}, USUAL)


def test_a_copy_in_a_later_corpus_follows_a_group_that_moved():
    groups = ALL_TRAIN[:5]
    test = next(g for g, split in placed([groups], {}, USUAL).items() if split == "test")
    later = ALL_TRAIN[5]
    found = placed([groups, [later]], {test: ["p"], later: ["p"]}, USUAL)
    assert (found[test], found[later]) == ("test", "test")


def test_what_a_finished_run_has_is_not_missing():
    standing = dict(zip(("a", "b", "c"), ("train", "val", "test"), strict=True))
    after = Layout(USUAL.shares, USUAL.seed, groups=standing)
    assert placed([ALL_TRAIN[:5]], {}, after) == dict.fromkeys(ALL_TRAIN[:5], "train")
    assert placed([["a", *ALL_TRAIN[:5]]], {}, after)["a"] == "train"


def test_where_no_split_is_empty_the_hash_decides_alone():
    groups = [f"g{i}" for i in range(300)]
    assert placed([groups], {}, USUAL) == by_hash(groups)


@given(corpora, pictures, st.randoms())
def test_the_order_of_groups_changes_nothing(groups, sharing, random):
    turned = [random.sample(one, len(one)) for one in groups]
    assert placed(turned, sharing, USUAL) == placed(groups, sharing, USUAL)


@given(corpora, pictures)
def test_a_corpus_behind_the_others_moves_none_of_their_groups(groups, sharing):
    whole = placed(groups, sharing, USUAL)
    for n in range(len(groups)):
        assert placed(groups[:n], sharing, USUAL).items() <= whole.items()


@given(corpora, st.sets(st.integers(61, 120).map(str), min_size=3))
def test_after_a_corpus_of_as_many_groups_as_splits_none_is_empty(before, groups):
    assert set(placed([*before, groups], {}, USUAL).values()) == set(USUAL.shares)


@given(corpora, pictures)
def test_groups_that_share_a_picture_are_never_in_two_splits(groups, sharing):
    splits = {}
    for group, split in placed(groups, sharing, USUAL).items():
        for picture in sharing.get(group, ()):
            splits.setdefault(picture, set()).add(split)
    assert all(len(found - {None}) <= 1 for found in splits.values())


def test_a_small_run_writes_every_split(tmp_path):
    units = {}
    for corpus, groups in (("quilt", ALL_TRAIN), ("pathcap", ALL_TRAIN[10:])):
        one = made()[corpus]
        names = groups[: len(one.samples)]
        units[corpus] = one.with_columns("samples", {"group": pa.array(names, pa.string())})
    alone = mined(tmp_path / "alone", configuration(), {"quilt": units["quilt"]})
    assert {row["split"] for row in ledger(alone).values()} == {"train", "val", "test", None}
    assert [fault for fault in validate(alone).faults if fault.place != "run"] == []
    both = ledger(mined(tmp_path / "both", configuration(), units))
    for key, row in ledger(alone).items():
        assert both[key]["split"] == row["split"]
