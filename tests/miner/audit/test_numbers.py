"""Shares with intervals, agreement of auditors, estimates, the gate."""

import numpy as np
import pytest

from miner.audit.agreement import cohen, krippendorff
from miner.audit.estimate import earlier, estimates
from miner.audit.gate import judge
from miner.audit.intervals import jeffreys, share
from miner.audit.judgements import Judgement, Judgements
from miner.commands.audit import words
from tests.bench import audit as simulated


def test_independent_equal_judgements_give_jeffreys_interval():
    found = share([1.0] * 90 + [0.0] * 10, [1] * 100, [f"g{i}" for i in range(100)], ["a"] * 100)
    assert found.estimate == pytest.approx(0.9)
    low, high = jeffreys(0.9, 100)
    assert found.low == pytest.approx(low, abs=0.01)
    assert found.high == pytest.approx(high, abs=0.01)
    # Brown, Cai and DasGupta 2001: Jeffreys' 95% interval of 90 in 100.
    assert (low, high) == (pytest.approx(0.8299, abs=1e-3), pytest.approx(0.9470, abs=1e-3))


def test_masks_that_err_together_count_for_less():
    right = [1.0] * 80 + [0.0] * 20
    alone = share(right, [1] * 100, [f"g{i}" for i in range(100)], ["a"] * 100)
    together = share(right, [1] * 100, [f"g{i // 10}" for i in range(100)], ["a"] * 100)
    assert together.effective < alone.effective / 3
    assert together.low < alone.low
    assert together.more > alone.more


def test_unequal_weights_count_for_less_and_move_the_estimate():
    right = [float(i % 4 > 0) for i in range(100)]
    weights = [9.0 if i % 8 < 4 else 1.0 for i in range(100)]
    groups = [f"g{i}" for i in range(100)]
    found = share(right, weights, groups, ["a"] * 100)
    assert found.effective < 75  # Kish: 61 of 100
    heavy = share([1.0, 0.0], [9, 1], ["a", "b"], ["s", "s"])
    assert heavy.estimate == pytest.approx(0.9)


def test_nothing_judged_says_nothing():
    found = share([], [], [], [])
    assert (found.estimate, found.low, found.high, found.more) == (None, 0.0, 1.0, None)


def test_all_right_is_not_certain():
    found = share([1.0] * 30, [1] * 30, [f"g{i}" for i in range(30)], ["a"] * 30)
    assert found.high == 1.0
    assert 0.85 < found.low < 0.95


@pytest.mark.whole
def test_intervals_cover_the_truth_of_simulated_runs():
    rng = np.random.default_rng(5)
    covered = []
    for repeat in range(60):
        masks, right = simulated.run(rng, 0.85, 0.05)
        _, found, _ = simulated.audited(masks, right, 150, repeat)
        row = found["precision"]["all"]["all"]
        covered.append(row["low"] <= np.mean(list(right.values())) <= row["high"])
    assert np.mean(covered) >= 0.87  # .95 less three standard errors of 60


@pytest.mark.whole
@pytest.mark.parametrize("drop", [False, True])
def test_the_gate_seldom_lets_a_bad_run_through(drop):
    assert simulated.gate(60, 1, 0.9, drop) <= 0.05


def test_cohens_kappa_of_a_known_table():
    # J. Cohen's own layout: 20 both yes, 5 and 10 apart, 15 both no; kappa .4.
    first = ["y"] * 25 + ["n"] * 25
    second = ["y"] * 20 + ["n"] * 5 + ["y"] * 10 + ["n"] * 15
    assert cohen(first, second) == pytest.approx(0.4)
    assert cohen(["y"] * 3, ["y"] * 3) is None


def test_krippendorffs_alpha_of_his_example():
    # K. Krippendorff, Computing Krippendorff's alpha-reliability, 2011, section C (nominal).
    observers = [
        "1 2 3 3 2 1 4 1 2 . . .",
        "1 2 3 3 2 2 4 1 2 5 . 3",
        ". 3 3 3 2 3 4 2 2 5 1 .",
        "1 2 3 3 2 4 4 1 2 5 1 .",
    ]
    units = zip(*(o.split() for o in observers), strict=True)
    verdicts = {str(i): [v for v in unit if v != "."] for i, unit in enumerate(units)}
    assert krippendorff(verdicts) == pytest.approx(0.743, abs=0.001)
    assert krippendorff({"a": ["x", "x"], "b": ["x", "x"]}) is None


def row(item: str, concept: str, stratum: str) -> dict:
    kept = stratum.startswith("kept")
    return {"item": item, "concept": concept, "kept": kept, "stratum": stratum}


ITEMS = [
    *(row(f"n{i}", "nucleus", "kept/nucleus") for i in range(40)),
    *(row(f"g{i}", "gland", "kept/gland") for i in range(20)),
    *(row(f"r{i}", "gland", "rejected/gland") for i in range(10)),
    row("right", "gland", ""),
    row("wrong", "gland", ""),
]  # fmt: skip
AUDIT = {
    "audit": "a", "run": "r", "by": "concept", "concepts": {"nucleus": 400, "gland": 40},
    "strata": {"kept/nucleus": 400, "kept/gland": 40, "rejected/gland": 100},
    "items": [
        {**i, "corpus": "c", "group": i["item"], "family": "cell",
         "control": i["item"] if i["item"] in ("right", "wrong") else None}
        for i in ITEMS
    ],
}  # fmt: skip


def said(wrong: set[str], auditor: str = "ann") -> list[Judgement]:
    verdicts = ("wrong_object" if i["item"] in wrong else "right" for i in ITEMS)
    return [Judgement(i["item"], auditor, v) for i, v in zip(ITEMS, verdicts, strict=True)]


WRONG = {"n0", "n1", *(f"g{i}" for i in range(10)), *(f"r{i}" for i in range(8)), "wrong"}


def test_estimates_weigh_strata_and_leave_planted_masks_out():
    found = estimates(AUDIT, Judgements(tuple(said(WRONG)), ()), ("precision", 0.8))
    whole = found["precision"]["all"]["all"]
    assert whole["n"] == 60
    assert whole["estimate"] == pytest.approx((400 * 0.95 + 40 * 0.5) / 440, abs=1e-3)
    assert found["precision"]["concept"]["gland"]["estimate"] == 0.5
    assert found["lost"]["estimate"] == pytest.approx(20 / (20 + 400), abs=1e-3)
    assert found["promise"]["state"] == "kept"
    assert found["auditors"]["controls"]["ann"] == {
        "right_called_right": 1, "right": 1, "wrong_called_wrong": 1, "wrong": 1,
    }  # fmt: skip
    assert found["errors"]["nucleus"] == {"right": 38, "wrong_object": 2}


@pytest.mark.parametrize(
    ("target", "state"),
    [
        (("precision", 0.99), "broken"),
        (("precision", 0.91), "open"),
        (("fdr", 0.2), "kept"),
        (("fdr", 0.01), "broken"),
    ],
)
def test_a_promise_is_kept_broken_or_open(target, state):
    found = estimates(AUDIT, Judgements(tuple(said(WRONG)), ()), target)
    assert found["promise"]["state"] == state


def test_of_several_auditors_the_mean_counts():
    two = [*said(WRONG), *said(WRONG | {f"g{i}" for i in range(20)}, "bob")]
    found = estimates(AUDIT, Judgements(tuple(two), ()), None)
    assert found["precision"]["concept"]["gland"]["estimate"] == 0.25
    assert found["auditors"]["cohen"]["ann, bob"]["items"] == 70
    assert 0 < found["auditors"]["krippendorff"] < 1


def test_what_nobody_judged_is_made_up_for_by_its_stratum():
    part = [j for j in said(WRONG) if j.item not in {f"n{i}" for i in range(20, 40)}]
    found = estimates(AUDIT, Judgements(tuple(part), ()), None)
    assert found["precision"]["all"]["all"]["estimate"] == pytest.approx(
        (400 * 0.9 + 40 * 0.5) / 440, abs=1e-3
    )


def test_a_stratum_that_nobody_judged_is_said_and_not_released():
    part = Judgements(tuple(j for j in said(set()) if not j.item.startswith("g")), ())
    found = estimates(AUDIT, part, None)
    assert found["unjudged"] == {"kept/gland": 40}
    assert "Nobody judged any of 40 masks in kept/gland" in " ".join(words(found))
    shut = judge(found, AUDIT, part, 0.8, drop_failing=False)
    assert shut.reasons == ("precision: nobody judged any of 40 masks in gland",)
    assert not judge(found, AUDIT, part, 0.0, drop_failing=False).reasons
    opened = judge(found, AUDIT, part, 0.8, drop_failing=True)
    assert (opened.reasons, opened.dropped) == ((), ("gland",))


RARE = {
    **AUDIT,
    "strata": {"kept/nucleus": 10, "kept/other": 8},
    "concepts": {"fat": 2, "mucin": 4, "nerve": 2, "nucleus": 10},  # no nerve was drawn
    "items": [
        {**row(f"{concept} {i}", concept, stratum), "corpus": "c", "group": f"{concept} {i}",
         "family": "cell", "control": None}
        for concept, stratum, n in (
            ("nucleus", "kept/nucleus", 10), ("fat", "kept/other", 2), ("mucin", "kept/other", 4)
        )
        for i in range(n)
    ],
}  # fmt: skip


def test_one_rare_concept_does_not_speak_for_another_that_nobody_judged():
    verdicts = {f"nucleus {i}": "right" for i in range(10)} | {"fat 0": "wrong_object"}
    some = Judgements(tuple(Judgement(i, "ann", v) for i, v in verdicts.items()), ())
    found = estimates(RARE, some, None)
    assert found["unjudged"] == {"kept/mucin": 4, "kept/nerve": 2}
    whole = found["precision"]["all"]["all"]["estimate"]
    # Two fats of six drawn from a stratum of 8, the mucins left out.
    assert whole == pytest.approx(10 / (10 + 2 * 8 / 6), abs=1e-4)
    shut = judge(found, RARE, some, 0.1, drop_failing=False)
    assert shut.reasons == ("precision: nobody judged any of 6 masks in mucin (4), nerve (2)",)
    opened = judge(found, RARE, some, 0.1, drop_failing=True)
    assert (opened.reasons, opened.dropped) == ((), ("fat", "mucin", "nerve"))


def test_without_a_judgement_nothing_is_known_and_nothing_released():
    nobody = Judgements((), ())
    found = estimates(AUDIT, nobody, ("precision", 0.9))
    assert found["precision"]["all"]["all"]["estimate"] is None
    assert (found["lost"], found["promise"]["state"]) == (None, "open")
    assert found["unjudged"] == AUDIT["strata"]
    for drop in (False, True):
        assert judge(found, AUDIT, nobody, 0.5, drop).reasons


def test_an_empty_stratum_changes_nothing():
    empty = {**AUDIT, "strata": {**AUDIT["strata"], "kept/fat": 0}}
    judgements = Judgements(tuple(said(WRONG)), ())
    assert estimates(empty, judgements, None) == estimates(AUDIT, judgements, None)


def test_an_audit_tells_the_next_draw_where_verdicts_vary():
    found = earlier(AUDIT, Judgements(tuple(said(WRONG)), ()))
    assert found["kept/gland"] == (0.5, 20)
    assert found["rejected/gland"] == (pytest.approx(0.2), 10)


def test_the_gate_drops_what_falls_short_and_states_what_remains():
    judgements = Judgements(tuple(said(WRONG)), ())
    found = estimates(AUDIT, judgements, None)
    shut = judge(found, AUDIT, judgements, 0.9, drop_failing=False)
    assert shut.reasons
    assert not shut.dropped
    opened = judge(found, AUDIT, judgements, 0.8, drop_failing=True)
    assert opened.dropped == ("gland",)
    assert not opened.reasons
    assert opened.low < found["precision"]["concept"]["nucleus"]["low"]  # since one could choose
