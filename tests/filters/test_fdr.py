"""False-discovery rates against simulations with a known answer."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters import fdr


def simulate(rng, n_right=400, n_wrong=400, n_decoy=300):
    """Right targets score high, wrong ones like decoys; probabilities are the true ones."""
    score = np.concatenate(
        [rng.normal(2, 1, n_right), rng.normal(0, 1, n_wrong), rng.normal(0, 1, n_decoy)]
    )
    odds = n_right / n_wrong * np.exp(2 * score - 2)
    p = odds / (1 + odds)
    right = np.arange(len(score)) < n_right
    decoy = np.arange(len(score)) >= n_right + n_wrong
    return p, right, ~decoy, decoy


@pytest.mark.parametrize("nominal", [0.05, 0.1, 0.2])
def test_realised_rate_stays_below_nominal(nominal):
    realised = []
    for seed in range(20):
        p, right, target, decoy = simulate(np.random.default_rng(seed))
        family = np.full(len(p), "cell", object)
        found = fdr.estimate(p, family, target, decoy, np.ones(len(p), bool), nominal)
        accepted = found.q <= nominal
        assert not accepted[decoy].any()
        realised.append((accepted & ~right).sum() / max(accepted.sum(), 1))
    assert np.mean(realised) <= nominal + 0.01
    assert np.mean(realised) > 0  # it accepts something


def test_decoys_show_overconfident_probabilities():
    p, _, target, decoy = simulate(np.random.default_rng(0))
    family = np.full(len(p), "cell", object)
    liar = np.clip(p * 0 + 0.99, 0, 1)
    found = fdr.estimate(liar, family, target, decoy, np.ones(len(p), bool), 0.1)
    assert found.expected[target].max() == pytest.approx(0.01)
    assert found.q[target].min() > 0.5  # as many decoys pass as targets do


def test_too_few_decoys_leave_the_first_estimate_alone():
    p, _, target, decoy = simulate(np.random.default_rng(0), n_decoy=9)
    family = np.full(len(p), "cell", object)
    found = fdr.estimate(p, family, target, decoy, np.ones(len(p), bool), 0.1)
    assert not found.decoys_enough
    assert np.isnan(found.decoy).all()
    assert np.array_equal(found.q[target], found.expected[target])
    assert fdr.estimate(p, family, target, decoy, np.ones(len(p), bool), 0.2).decoys_enough


def test_plus_one():
    # No decoy above the threshold, and yet the rate is not 0.
    q = fdr.target_decoy_q(np.array([0.9, 0.8]), np.array([0.1]), 10, 10)
    assert q.tolist() == [0.5, 0.5]


def test_a_family_with_its_own_decoys_is_judged_by_them():
    rng = np.random.default_rng(3)
    p = rng.uniform(0.5, 1, 400)
    family = np.array(["cell"] * 200 + ["tissue"] * 200, object)
    decoy = np.tile([False, False, True, False], 100)
    # Decoys of cells score like targets, those of tissue low.
    p[decoy & (family == "tissue")] = 0.1
    found = fdr.estimate(p, family, ~decoy, decoy, np.ones(400, bool), 0.1)
    best = [np.nanmin(found.decoy[family == f]) for f in ("cell", "tissue")]
    assert best[1] < 0.05 < best[0]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60))
def test_q_values_are_monotone_in_the_score(values):
    p = np.array(values)
    q = fdr.expected_q(p)
    order = np.argsort(-p, kind="stable")
    assert (np.diff(q[order]) >= -1e-12).all()
    assert (q >= (1 - p.max()) - 1e-12).all()
    for value in set(values):  # equal scores, equal q
        assert len(set(q[p == value])) == 1


def test_only_what_passed_the_filters_competes():
    p, _, target, decoy = simulate(np.random.default_rng(0))
    passed = np.zeros(len(p), bool)
    family = np.full(len(p), "cell", object)
    found = fdr.estimate(p, family, target, decoy, passed, 0.1)
    assert np.isnan(found.q).all()


def test_entrapment_agrees_with_the_rate_where_decoys_are_like_wrong_targets():
    rates = []
    for seed in range(20):
        p, _, target, decoy = simulate(np.random.default_rng(seed))
        family = np.full(len(p), "cell", object)
        found = fdr.entrapment(p, family, target, decoy, np.ones(len(p), bool), 0.2)
        assert found.asked == 150
        assert found.least <= found.most
        rates.append(found.most)
    assert 0 < np.mean(rates) <= 0.23


def test_entrapment_shows_decoys_that_are_too_easy():
    p, right, target, decoy = simulate(np.random.default_rng(0))
    family = np.full(len(p), "cell", object)
    easy = np.where(decoy, 0.0, p)
    trap = target & ~right
    found = fdr.entrapment(easy, family, target, decoy, np.ones(len(p), bool), 0.1, trap)
    assert found.accepted > 100
    assert found.most > found.least > 0.3
    none = fdr.entrapment(
        easy, family, target, decoy, np.zeros(len(p), bool), 0.1, np.zeros(len(p), bool)
    )
    assert (none.asked, none.accepted) == (0, 0)
    assert np.isnan([none.least, none.most]).all()


def of(*groups):
    """Arrays (probability, family, is_target, is_decoy) of (n, probability, family, decoys?)."""
    return (
        np.concatenate([np.full(n, p) for n, p, _, _ in groups]),
        np.concatenate([np.full(n, name, object) for n, _, name, _ in groups]),
        np.concatenate([np.full(n, not decoys) for n, _, _, decoys in groups]),
        np.concatenate([np.full(n, decoys) for n, _, _, decoys in groups]),
    )


def test_fifty_decoys_are_a_familys_own_and_fewer_borrow_all():
    p, family, target, decoy = of(
        (100, 0.95, "cell", False), (50, 0.9, "cell", True),
        (20, 0.5, "gland", False), (20, 0.1, "gland", True),
    )  # fmt: skip
    found = fdr.estimate(p, family, target, decoy, np.ones(len(p), bool), 0.1)
    cell, gland = (found.decoy[target & (family == name)] for name in ("cell", "gland"))
    assert cell == pytest.approx(100 / 50 * 1 / 100)
    assert gland == pytest.approx(120 / 70 * 51 / 120)


def test_as_many_decoys_as_the_rate_needs_are_enough():
    p, family, target, decoy = of((10, 0.9, "cell", False), (10, 0.1, "cell", True))
    assert fdr.estimate(p, family, target, decoy, np.ones(20, bool), 0.1).decoys_enough
    assert not fdr.estimate(p, family, target, decoy, np.ones(20, bool), 0.09).decoys_enough


def test_targets_of_one_score_are_accepted_together():
    q = fdr.target_decoy_q(np.array([0.5, 0.9, 0.9]), np.array([0.6]), 3, 30)
    assert q == pytest.approx([0.1 * 2 / 3, 0.1 * 1 / 2, 0.1 * 1 / 2])


def test_entrapment_counts_what_is_accepted_at_the_rate_itself():
    arrays = of((10, 0.9, "cell", False), (10, 0.1, "cell", True))
    traps = np.arange(20) == 3
    # 10 / 10 * (1 + 0) / 10 is the rate, also where none is stated.
    for nominal in (0.1, None):
        found = fdr.entrapment(*arrays, np.ones(20, bool), nominal, traps)
        assert (found.asked, found.accepted) == (1, 1)
        assert (found.least, found.most) == pytest.approx((0.1, 1.0))


def test_entrapment_says_nothing_without_traps_or_with_nothing_accepted():
    none = fdr.entrapment(
        *of((10, 0.9, "cell", False), (10, 0.1, "cell", True)),
        np.ones(20, bool), 0.1, np.zeros(20, bool),
    )  # fmt: skip
    assert (none.asked, none.accepted) == (0, 0)
    assert np.isnan([none.least, none.most]).all()
    worse = fdr.entrapment(
        *of((10, 0.1, "cell", False), (10, 0.9, "cell", True)),
        np.ones(20, bool), 0.1, np.arange(20) == 3,
    )  # fmt: skip
    assert (worse.asked, worse.accepted) == (1, 0)
    assert np.isnan([worse.least, worse.most]).all()
