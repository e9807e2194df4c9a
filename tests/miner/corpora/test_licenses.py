"""Licences that exclude each other are refused together, with the names."""

import pytest

from miner.core.errors import Refused
from miner.corpora.licenses import exclusive
from miner.load_config import check_config, load_config


@pytest.mark.parametrize(
    ("one", "other", "apart"),
    [
        ("CC BY-NC-SA 4.0", "CC BY-NC-SA 4.0", False),
        ("CC BY-NC-SA 4.0", "CC BY-SA 4.0", True),
        ("cc-by-nc-nd-3.0", "CC BY-NC-SA 4.0", True),
        ("cc-by-nc-nd-3.0", "CC0 1.0", False),
        ("CC BY 4.0", "CC BY-NC-SA 4.0", False),
        ("ODbL 1.0", "CC BY-SA 4.0", True),
        ("research-only; see the publisher's terms", "CC BY-SA 4.0", False),
    ],
)
def test_which_licences_exclude_each_other(one, other, apart):
    assert bool(exclusive({"a": one, "b": other})) == apart
    assert bool(exclusive({"b": other, "a": one})) == apart


def test_corpora_of_such_licences_are_refused_together():
    corpora = [
        {"kind": "pannuke", "path": "a"},
        {"kind": "pairs", "path": "b", "license": "CC BY-SA 4.0"},
    ]
    with pytest.raises(Refused, match=r"licences of pannuke \(CC BY-NC-SA 4\.0\) and pairs"):
        check_config({"corpora": corpora}, "c.yaml")
    mine = {"corpora": corpora, "shards": {"mixed_licenses": True}}
    assert len(check_config(mine, "c.yaml").corpora) == 2


def test_the_mix_that_ships():
    config = load_config("mix.yaml")
    assert [c.kind for c in config.corpora] == ["quilt", "vqa", "pannuke"]
    assert config.sampling.shares[0].weights == {"quilt": 6, "vqa": 1, "pannuke": 3}
