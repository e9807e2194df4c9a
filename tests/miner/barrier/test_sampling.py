import json

import pyarrow as pa
import pydantic
import pytest

from miner.barrier.config import SamplingConfig
from miner.barrier.sampling import before_after, choose, coverage
from miner.core.errors import Refused
from miner.core.unit import STRATUM
from ner.strata import Stratum


def samples(rows):
    """Rows of (organ or None, concepts)."""
    strata = [
        [Stratum("organ", organ, None, None, "organ")._asdict()] if organ else []
        for organ, _ in rows
    ]
    return pa.table(
        {
            "sample_id": [f"s-{i:04d}" for i in range(len(rows))],
            "corpus": ["quilt" if i % 2 else "pathcap" for i in range(len(rows))],
            "concepts": [list(c) for _, c in rows],
            "strata": pa.array(strata, pa.list_(STRATUM)),
        }
    )


ROWS = (
    [("colon", ["gland", "nucleus"])] * 60
    + [("kidney", ["glomerulus", "nucleus"])] * 5
    + [(None, ["nucleus"])] * 35
)


def kept(config, seed=0, rows=ROWS):
    table = samples(rows)
    keep, reasons = choose(table, SamplingConfig.model_validate(config), seed)
    assert [r is None for r in reasons.to_pylist()] == keep.to_pylist()
    ids = table.filter(keep)["sample_id"].to_pylist()
    return table, keep.to_pylist(), reasons.to_pylist(), ids


def test_nothing_is_left_out_by_default():
    assert all(kept({})[1])


def test_caps_hold_for_each_stratum_and_name_it():
    table, keep, reasons, _ = kept({"caps": [{"by": ["organ"], "max_samples": 20}]})
    assert before_after(table, keep)["organ"] == [
        ("colon", 60, 20),
        ("unknown", 35, 20),
        ("kidney", 5, 5),
    ]
    assert set(reasons) == {None, "cap:organ=colon", "cap:organ=unknown"}


def test_caps_on_one_value_and_on_combinations():
    table, keep, reasons, _ = kept(
        {
            "caps": [
                {"by": ["organ"], "value": "unknown", "max_samples": 0},
                {"by": ["organ", "corpus"], "value": "colon/quilt", "max_samples": 7},
            ]
        }
    )
    assert before_after(table, keep)["organ"] == [
        ("colon", 60, 37),
        ("unknown", 35, 0),
        ("kidney", 5, 5),
    ]
    assert "cap:organ/corpus=colon/quilt" in reasons


def test_a_full_concept_does_not_take_a_rare_one_along():
    _, keep, reasons, _ = kept({"concept_caps": [{"concept": "nucleus", "max_samples": 10}]})
    assert [sum(k for k, (_, c) in zip(keep, ROWS, strict=True) if n in c) for n in (
        "gland", "glomerulus")] == [60, 5]  # fmt: skip
    # Samples that only show nuclei go: glands and glomeruli brought more than ten.
    assert sum(k for k, (o, _) in zip(keep, ROWS, strict=True) if o is None) <= 10
    assert set(reasons) == {None, "cap:concept=nucleus"}


def test_targets_spare_what_caps_would_take():
    cap = {"caps": [{"by": ["corpus"], "max_samples": 5}]}
    target = {"targets": [{"by": ["organ"], "value": "kidney", "min_samples": 5}]}
    table, keep, _, _ = kept({**cap, **target})
    assert dict((v, a) for v, _, a in before_after(table, keep)["organ"])["kidney"] == 5
    assert sum(keep) == 10
    spared = kept({**cap, "targets": [{"concept": "gland", "min_samples": 30}]})[1]
    assert sum(k for k, (_, c) in zip(spared, ROWS, strict=True) if "gland" in c) == 30


def test_the_choice_depends_on_the_seed_but_not_on_the_order():
    config = {"caps": [{"by": ["organ"], "max_samples": 9}], "concept_caps": [{"max_samples": 15}]}
    table, keep, _, ids = kept(config)
    assert kept(config, seed=1)[3] != ids
    shuffled = table.take(pa.array([(i * 37) % 100 for i in range(100)]))
    keep, _ = choose(shuffled, SamplingConfig.model_validate(config), 0)
    assert sorted(shuffled.filter(keep)["sample_id"].to_pylist()) == ids


def test_coverage_shows_the_empty_cells():
    table, keep, _, _ = kept({})
    concepts, organs, counts = coverage(table, keep)
    assert concepts == ["nucleus", "gland", "glomerulus"]
    assert organs == ["colon", "unknown", "kidney"]
    assert counts == [[60, 35, 5], [60, 0, 0], [0, 0, 5]]


def test_wrong_dimensions_are_named():
    with pytest.raises(pydantic.ValidationError, match="unknown dimension 'organs'"):
        SamplingConfig.model_validate({"caps": [{"by": ["organs"], "max_samples": 1}]})
    with pytest.raises(pydantic.ValidationError, match="either `by` or `concept`"):
        SamplingConfig.model_validate({"targets": [{"min_samples": 1}]})
    config = SamplingConfig.model_validate({"caps": [{"by": ["source"], "max_samples": 1}]})
    with pytest.raises(Refused, match="no column source"):
        choose(samples(ROWS), config, 0)


def test_proportions_are_those_that_the_scarcest_allows():
    """60 colon, 5 kidney, 35 unknown: 4 to 1 leaves 20 and 5, and what is not named is left."""
    share = {"by": ["organ"], "weights": {"colon": 4, "kidney": 1}}
    table, keep, reasons, ids = kept({"shares": [share]})
    assert before_after(table, keep)["organ"] == [
        ("colon", 60, 20),
        ("unknown", 35, 35),
        ("kidney", 5, 5),
    ]
    assert set(reasons) == {None, "share:organ=colon"}
    # The same ones stay, whatever else is asked of other strata.
    other = {"by": ["organ"], "weights": {"unknown": 1, "kidney": 1}}
    assert set(ids) > set(kept({"shares": [share, other]})[3])


def test_proportions_of_corpora_beside_caps():
    config = {
        "caps": [{"by": ["organ"], "value": "colon", "max_samples": 10}],
        "shares": [{"by": ["corpus"], "weights": {"quilt": 0.25, "pathcap": 0.75}}],
    }
    table, keep, _, _ = kept(config)
    left = table.filter(pa.array(keep))["corpus"].to_pylist()
    assert len(left) > 30
    assert left.count("quilt") / len(left) == pytest.approx(0.25, abs=0.02)


def test_a_value_of_which_there_is_nothing_holds_back_no_other(caplog):
    weights = {"colon": 1, "kidney": 1, "moon": 5}
    table, keep, _, _ = kept({"shares": [{"by": ["organ"], "weights": weights}]})
    assert before_after(table, keep)["organ"][0] == ("colon", 60, 5)
    assert "nothing of moon is there" in caplog.text


@pytest.mark.parametrize("weights", [{"colon": 1}, {"colon": 1, "kidney": 0}])
def test_weights_are_two_and_above_zero(weights):
    with pytest.raises(pydantic.ValidationError):
        SamplingConfig.model_validate({"shares": [{"by": ["organ"], "weights": weights}]})


@pytest.mark.parametrize(
    "cap", [{"caps": [{"by": ["organ"], "max_samples": 0}]}, {"concept_caps": [{"max_samples": 0}]}]
)
def test_a_cap_of_nothing_leaves_nothing(cap):
    assert kept(cap)[3] == []


@pytest.mark.parametrize("name", ["caps", "concept_caps"])
def test_a_cap_below_nothing_is_refused(name):
    cap = {"by": ["organ"]} if name == "caps" else {}
    with pytest.raises(pydantic.ValidationError, match="max_samples"):
        SamplingConfig.model_validate({name: [{**cap, "max_samples": -1}]})


def test_of_two_caps_on_a_concept_the_lower_one_holds():
    caps = [{"concept": "", "max_samples": 50}, {"concept": "gland", "max_samples": 7}]
    rows = [("colon", ["gland"])] * 40
    _, keep, _, _ = kept({"concept_caps": caps}, rows=rows)
    assert sum(keep) == 7


@pytest.mark.parametrize(
    "config",
    [
        {"caps": [{"by": ["organ"], "value": "Colon", "max_samples": 20}]},
        {"caps": [{"by": ["organ", "corpus"], "value": "Colon/Quilt", "max_samples": 20}]},
        {"concept_caps": [{"concept": "Nucleus", "max_samples": 20}]},
        {"targets": [{"by": ["organ"], "value": "COLON", "min_samples": 40}],
         "caps": [{"by": ["corpus"], "max_samples": 5}]},
        {"targets": [{"concept": "Gland", "min_samples": 40}],
         "caps": [{"by": ["corpus"], "max_samples": 5}]},
        {"shares": [{"by": ["organ"], "weights": {"Colon": 3, "KIDNEY": 1}}]},
    ],
)  # fmt: skip
def test_strata_and_concepts_are_known_in_any_case(config, caplog):
    lower = json.loads(json.dumps(config).lower())
    assert config != lower
    assert kept(config)[1] == kept(lower)[1]
    assert not all(kept(config)[1])
    assert not caplog.records


def test_names_that_publishers_give_keep_their_case():
    cap = {"by": ["group"], "value": "TCGA-A1", "max_samples": 1}
    assert SamplingConfig.model_validate({"caps": [cap]}).caps[0].value == "TCGA-A1"


def test_a_value_in_two_spellings_is_refused():
    with pytest.raises(pydantic.ValidationError, match="twice"):
        kept({"shares": [{"by": ["organ"], "weights": {"Colon": 3, "colon": 1}}]})


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"caps": [{"by": ["organ"], "value": "colin", "max_samples": 2}]}, "organ=colin"),
        ({"concept_caps": [{"concept": "glnd", "max_samples": 2}]}, "concept=glnd"),
        ({"targets": [{"by": ["organ"], "value": "colin", "min_samples": 2}]}, "organ=colin"),
        ({"targets": [{"concept": "glnd", "min_samples": 2}]}, "concept=glnd"),
    ],
)
def test_rules_on_what_is_not_there_are_told(rule, said, caplog):
    kept({"caps": [{"by": ["organ"], "max_samples": 9}], **rule})
    (record,) = caplog.records
    (setting,) = rule
    assert record.getMessage() == f"sampling.{setting}: nothing of {said} is there"
