"""The sample of an audit: strata, probabilities, order."""

import itertools
from collections import Counter

import pytest

from miner.audit.draw import LEAST, OTHER, draw
from miner.audit.population import Mask


def mask(i: int, stratum: str, kept: bool = True) -> Mask:
    return Mask(
        item=f"{i:016x}", sample_id=f"s{i}", corpus="c", image=f"{i}.jpg", group="g",
        concept=stratum, family="cell", stratum=stratum, kept=kept, score=None, reason=None,
        segmenter="s", q_value=None, box=(), span=(),
    )  # fmt: skip


def run(**sizes: int) -> list[Mask]:
    names = [name for name, n in sizes.items() for _ in range(n)]
    return [mask(i, n.removeprefix("no_"), not n.startswith("no_")) for i, n in enumerate(names)]


def test_probabilities_are_drawn_over_there():
    masks = run(nucleus=600, gland=90, stroma=10, no_nucleus=200)
    sample = draw(masks, 100, seed=3)
    drawn = Counter(d.stratum for d in sample.drawn)
    assert len(sample.drawn) == 100
    assert sample.strata == {
        "kept/gland": 90, "kept/nucleus": 600, "kept/stroma": 10, "rejected/nucleus": 200,
    }  # fmt: skip
    for d in sample.drawn:
        assert d.probability == drawn[d.stratum] / sample.strata[d.stratum]
    # Rare concepts get more than their share of the masks.
    assert drawn["kept/stroma"] / 80 > 10 / 700
    assert drawn["rejected/nucleus"] == 20


def test_weights_add_up_to_the_run():
    masks = run(a=313, b=41, c=7, no_a=90, no_b=3)
    sample = draw(masks, 60, seed=0)
    assert sum(1 / d.probability for d in sample.drawn) == pytest.approx(len(masks))


def test_a_small_sample_is_not_exceeded_and_the_rare_share_a_stratum():
    masks = run(**{f"concept{i}": 3 + i for i in range(30)})
    sample = draw(masks, 12, seed=0)
    assert len(sample.drawn) == 12
    assert f"kept/{OTHER}" in sample.strata
    assert sum(sample.strata.values()) == len(masks)
    assert min(Counter(d.stratum for d in sample.drawn).values()) >= LEAST


def test_all_are_drawn_when_there_are_no_more():
    masks = run(a=5, b=1, no_a=2)
    assert len(draw(masks, 400, seed=0).drawn) == 8


def test_a_run_that_kept_nothing_or_rejected_nothing_is_drawn_from():
    assert draw([], 10, seed=0).drawn == []
    assert {d.stratum for d in draw(run(no_a=9), 6, seed=0).drawn} == {"rejected/a"}
    sample = draw(run(a=9), 6, seed=0, earlier={"kept/gone": (0.5, 40)})
    assert [d.stratum for d in sample.drawn] == ["kept/a"] * 6


def test_a_seed_gives_the_same_sample_and_another_seed_another():
    masks = run(a=300, no_a=60)
    items = [[d.mask.item for d in draw(masks, 40, seed=s).drawn] for s in (1, 1, 2)]
    assert items[0] == items[1]
    assert set(items[0]) != set(items[2])


def test_the_order_does_not_tell_kept_from_rejected():
    kept = [d.mask.kept for d in draw(run(a=300, no_a=300), 200, seed=0, rejected_share=0.5).drawn]
    changes = sum(a != b for a, b in itertools.pairwise(kept))
    assert 70 < changes < 130  # 100 of 199 in a random order


def test_an_earlier_audit_moves_judgements_to_where_verdicts_vary():
    masks = run(sure=500, doubtful=500)
    earlier = {"kept/sure": (0.99, 100), "kept/doubtful": (0.5, 100)}
    drawn = Counter(d.stratum for d in draw(masks, 100, 0, earlier).drawn)
    assert drawn["kept/doubtful"] > 3 * drawn["kept/sure"]
