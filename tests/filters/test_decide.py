"""Verdicts from stored scores: one reason each, whatever the scores are."""

import dataclasses

import numpy as np
import pyarrow as pa
import pytest

from filters import decide as deciding
from filters.config import FilterConfig
from filters.decide import Judged, decide
from filters.scores import OWN, SCORES
from miner.core.unit import CANDIDATES

GOOD = {
    "confidence": 0.9,
    "clip_prob": 0.9,
    "clip_cosine": 0.5,
    "clip_margin_sibling": 0.3,
    "clip_margin_absent": 0.4,
    "clip_rank": 1.0,
    "clip_margin_complement": 0.3,
    "clip_margin_random": 0.3,
    "clip_margin_shifted": 0.1,
    "ks_d": 0.2,
    "ks_p": 0.5,
    "ks_d_norm": 0.15,
    "ks_p_norm": 0.6,
    "ks_margin": 0.3,
    "ks_effect": 0.7,
    "ks_rim": 0.6,
    "ks_support": 0.5,
    "geometry_area_fraction": 0.1,
    "geometry_objects": 20.0,
    "geometry_speck_fraction": 0.0,
    "geometry_border_fraction": 0.1,
    "geometry_outline_fraction": 0.02,
    "geometry_largest_fraction": 0.1,
    "geometry_diameter_um": 8.0,
    "geometry_solidity": 0.9,
    "geometry_density_mm2": 2000.0,
}


def row(**changes):
    base = {
        "image_id": "q/a",
        "concept": "nucleus",
        "kind": "object",
        "roles": ["positive"],
        "prompt": "nuclei",
        "segmenter": "embedded",
        "area_px": 5000,
        "reason": None,
        "overlap_with": None,
        "inside_of": None,
        **GOOD,
    }
    return {**base, **changes}


def table(rows):
    types = {f.name: f.type for f in CANDIDATES} | dict.fromkeys([*SCORES, *OWN], pa.float64())
    types |= {"overlap_with": pa.string(), "inside_of": pa.string()}
    return pa.table({k: pa.array([r.get(k) for r in rows], t) for k, t in types.items()})


def judge(rows, **config):
    settings = FilterConfig(**(config or {"at_least": {"ks_rim": 0.5}}))
    return decide(table(rows), settings).to_pylist()


def test_a_good_mask_is_kept_and_a_bad_one_has_a_reason():
    good, bad = judge([row(), row(image_id="q/b", ks_rim=0.1)])
    assert good["keep"]
    assert good["reason"] is None
    assert 0 < good["score"] < 1
    assert good["calibration"]
    assert not bad["keep"]
    assert bad["reason"] == "at_least:ks_rim"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"reason": "empty", "area_px": 0}, "empty"),
        ({"reason": "unsupported", "area_px": 0}, "unsupported"),
        ({"area_px": 0}, "empty"),
        ({"ks_d": float("nan")}, "not_finite"),
        ({"clip_prob": float("inf")}, "not_finite"),
        ({"confidence": float("-inf")}, "not_finite"),
        ({"geometry_area_fraction": 0.99}, "whole_image"),
        ({"area_px": 3}, "speck"),
        ({"geometry_diameter_um": 90.0}, "implausible_size"),
        ({"ks_support": 0.0}, "out_of_support"),
        ({"ks_rim": None}, "at_least:ks_rim"),
        ({"roles": ["decoy"]}, "decoy"),
        ({"roles": ["negated"]}, "negated"),
        ({"roles": ["negated", "positive"]}, None),
    ],
)
def test_reasons(changes, reason):
    (one,) = judge([row(**changes)])
    assert one["reason"] == reason
    assert one["keep"] == (reason is None)


@pytest.mark.parametrize(("segmenter", "reason"), [("embedded", None), ("sam", "whole_image")])
def test_tissue_that_fills_a_picture(segmenter, reason):
    filled = {"kind": "stuff", "geometry_area_fraction": 1.0, "geometry_objects": 1.0}
    (one,) = judge([row(concept="fat", segmenter=segmenter, **filled)])
    assert one["reason"] == reason


def test_a_mask_is_judged_as_what_it_was_answered_as():
    gland = {"concept": "gland", "geometry_diameter_um": 100.0}
    own, borrowed = judge([row(**gland), row(**gland, image_id="q/b", asked_as="nucleus")])
    assert own["keep"]
    assert borrowed["reason"] == "implausible_size"
    stroma = {"kind": "stuff", "geometry_objects": 3.0}
    one, other = judge(
        [
            row(concept="stroma", **stroma),
            row(concept="collagen", asked_as="stroma", image_id="q/b", **stroma),
        ]
    )
    assert one["score"] == other["score"]
    assert one["calibration"] == other["calibration"]


def test_of_two_names_of_one_mask_the_one_asked_for_as_itself_stays():
    alike = {"kind": "stuff", "geometry_objects": 3.0, "geometry_overlap": 1.0}
    borrowed, own = judge(
        [
            row(concept="a tumor", asked_as="tumor", overlap_with="tumor", **alike),
            row(concept="tumor", overlap_with="a tumor", **alike),
        ]
    )
    assert (borrowed["reason"], own["reason"]) == ("same_mask", None)


def test_nothing_measured_is_never_accepted():
    blank = {k: None for k in GOOD if k.startswith(("clip_", "ks_"))}
    (one,) = judge([row(**blank)], at_most={"confidence": 1.0})
    assert one["reason"] == "undefined"


@pytest.mark.parametrize(("lead", "reason"), [(0.97, None), (None, "undefined")])
def test_tissue_with_nothing_to_compare_it_with_is_judged_by_its_lead(lead, reason):
    blank = {k: None for k in GOOD if k.startswith(("clip_", "ks_")) and k != "ks_support"}
    filled = {"kind": "stuff", "geometry_area_fraction": 1.0, "geometry_objects": 1.0}
    infiltrate = row(concept="lymphocytic infiltrate", margin=lead, **blank, **filled)
    (one,) = judge([infiltrate], at_most={"confidence": 1.0})
    assert one["reason"] == reason


def test_decoys_keep_score_and_what_they_failed():
    decoy, bad = judge([row(roles=["decoy"]), row(roles=["decoy"], image_id="b", ks_rim=0.0)])
    assert decoy["score"] is not None
    assert decoy["failed"] is None
    assert decoy["q_value"] is None
    assert bad["failed"] == "at_least:ks_rim"


WORSE = {"clip_prob": 0.2, "clip_margin_sibling": -0.2, "ks_margin": -0.3, "ks_effect": 0.1}


def test_the_best_segmenter_wins():
    worse = {"a": WORSE, "b": {}, "c": {**WORSE, "ks_rim": 0.5}}
    rows = [row(segmenter=name, **changes) for name, changes in worse.items()]
    for given in (rows, rows[::-1]):
        reasons = {r["segmenter"]: r["reason"] for r in judge(given)}
        assert reasons == {"a": "outscored", "b": None, "c": "outscored"}


def test_ties_do_not_depend_on_order():
    rows = [row(segmenter=s) for s in ("b", "a")]
    kept = [r["segmenter"] for r in judge(rows) if r["keep"]]
    assert kept == [r["segmenter"] for r in judge(rows[::-1]) if r["keep"]] == ["a"]


# Two phrases of one picture, each with the other as its nearest.
PHRASES = (("nucleus", "object", "keratin"), ("keratin", "stuff", "nucleus"))


@pytest.mark.parametrize("better", ["nucleus", "keratin"])
@pytest.mark.parametrize("turn", [1, -1])
def test_of_two_phrases_with_one_mask_the_better_one_stays(better, turn):
    rows = [
        row(
            concept=name,
            kind=kind,
            overlap_with=other,
            geometry_overlap=0.99,
            **({} if name == better else WORSE),
        )
        for name, kind, other in PHRASES[::turn]
    ]
    found = {r["concept"]: r for r in judge(rows)}
    worse = found.pop("keratin" if better == "nucleus" else "nucleus")
    assert found[better]["score"] > worse["score"] + 0.05
    assert (found[better]["reason"], worse["reason"]) == (None, "same_mask")


def test_two_phrases_with_different_masks_both_stay():
    rows = [
        row(concept=name, kind=kind, overlap_with=other, geometry_overlap=0.5)
        for name, kind, other in PHRASES
    ]
    assert [r["reason"] for r in judge(rows)] == [None, None]


@pytest.mark.parametrize(
    ("whole", "part", "reason"),
    [({}, WORSE, "outside_parent"), (WORSE, {}, None), ({}, {"geometry_inside": 1.0}, None)],
)
def test_a_part_outside_of_its_whole(whole, part, reason):
    """It falls only where the whole is the more believable of the two."""
    rows = [
        row(concept="gland", geometry_diameter_um=100.0, geometry_objects=2.0, **whole),
        row(
            concept="lumen",
            **{"geometry_diameter_um": 40.0, "inside_of": "gland", "geometry_inside": 0.0, **part},
        ),
    ]
    assert judge(rows)[1]["reason"] == reason


def test_order_of_rows_changes_nothing():
    rng = np.random.default_rng(0)
    rows = [
        row(
            image_id=f"q/{i // 3}",
            concept=("nucleus", "gland", "stroma")[i % 3],
            kind=("object", "object", "stuff")[i % 3],
            geometry_diameter_um=None,
            roles=["decoy"] if i % 7 == 0 else ["positive"],
            ks_rim=float(rng.uniform()),
            clip_prob=float(rng.uniform()),
        )
        for i in range(90)
    ]
    forward = judge(rows, fdr=0.2)
    backward = judge(rows[::-1], fdr=0.2)[::-1]
    assert forward == backward


def test_either_target_alone():
    with pytest.raises(ValueError, match="either one replaces the other"):
        FilterConfig(precision=0.9, fdr=0.1)
    assert FilterConfig().target == ("precision", 0.9)
    assert FilterConfig(fdr=0.05).target == ("fdr", 0.05)
    assert FilterConfig(at_least={"ks_p": 0.05}).target is None


def test_stricter_targets_keep_less():
    rng = np.random.default_rng(1)
    rows = [
        row(image_id=str(i), ks_rim=float(rng.uniform()), clip_prob=float(rng.uniform()))
        for i in range(300)
    ]
    for name, values in (("precision", (0.5, 0.8, 0.95)), ("fdr", (0.5, 0.2, 0.05))):
        kept = [{r["image_id"] for r in judge(rows, **{name: v}) if r["keep"]} for v in values]
        assert kept[2] <= kept[1] <= kept[0]
    q = [r["q_value"] for r in judge(rows, fdr=0.2) if r["keep"]]
    assert all(v <= 0.2 for v in q)


@pytest.mark.parametrize("precision", [0.6, 0.8, 0.9])
def test_no_mask_that_is_more_likely_wrong_than_right_is_kept(precision):
    rng = np.random.default_rng(0)
    names = [name for name in GOOD if name.startswith(("clip_", "ks_"))]
    rows = [
        row(image_id=f"q/{i}", **{name: float(v) for name, v in zip(names, drawn, strict=True)})
        for i, drawn in enumerate(rng.uniform(0.01, 0.9, size=(200, len(names))))
    ]
    found = judge(rows, precision=precision)
    assert any(one["score"] is not None and one["score"] < 0.5 for one in found)
    assert all(one["score"] >= 0.5 for one in found if one["keep"])


@pytest.mark.parametrize(
    ("target", "least"),
    [
        ({"precision": 0.9}, 0.8),
        ({"precision": 0.6}, 0.5),
        ({"fdr": 0.2}, 0.6),
        ({"fdr": 0.4}, 0.5),
    ],
)
def test_no_mask_rides_on_the_others(target, least):
    rng = np.random.default_rng(0)
    names = [name for name in GOOD if name.startswith(("clip_", "ks_"))]
    unsure = [
        row(image_id=f"q/{i}", **{name: float(v) for name, v in zip(names, drawn, strict=True)})
        for i, drawn in enumerate(rng.uniform(0.01, 0.9, size=(100, len(names))))
    ]
    said = {"expected_iou": 0.9, "mean_probability": 0.9, "agreement": 0.9}
    sure = [row(image_id=f"p/{i}", **said) for i in range(900)]
    found = judge(unsure + sure, **target)
    assert any(one["keep"] for one in found)
    assert all(one["score"] >= least for one in found if one["keep"])
    low = [one for one in found if one["reason"] == "low_score"]
    assert low
    if "fdr" in target:  # the average of all would have let them pass
        assert all(one["q_value"] <= target["fdr"] for one in low)


def test_deciding_twice_is_deciding_once():
    once = decide(table([row(), row(image_id="b", roles=["decoy"])]), FilterConfig())
    names = [n for n in once.column_names if n not in ("reason",)]
    again = decide(
        once.set_column(once.column_names.index("reason"), "reason", pa.nulls(2, pa.string())),
        FilterConfig(),
    )
    assert once.select(names).equals(again.select(names))


def test_no_candidates_at_all():
    assert decide(table([]), FilterConfig(fdr=0.1)).num_rows == 0


def test_a_trusted_mask_is_measured_and_kept_whatever_it_fails():
    trusted = ["positive", "trusted"]
    failing, better, denied = judge(
        [
            row(roles=trusted, segmenter="expert", ks_rim=0.1),
            row(confidence=1.0),
            row(roles=["negated", "trusted"], concept="gland", segmenter="expert"),
        ]
    )
    assert failing["keep"]
    assert (failing["reason"], failing["failed"]) == (None, "at_least:ks_rim")
    assert failing["q_value"] is None
    # Of another segmenter's mask of the same concept the trusted one stays.
    assert (better["keep"], better["reason"]) == (False, "outscored")
    assert (denied["keep"], denied["reason"]) == (False, "negated")


def test_trusted_masks_do_not_loosen_the_rate_of_the_others():
    rng = np.random.default_rng(0)
    others = [
        row(image_id=f"q/{i}", ks_rim=float(rng.uniform(0.1, 0.9)), clip_prob=float(rng.uniform()))
        for i in range(40)
    ]
    sure = [row(image_id=f"p/{i}", roles=["positive", "trusted"]) for i in range(200)]
    alone = judge(others, fdr=0.2)
    beside = judge(others + sure, fdr=0.2)[: len(others)]
    assert [r["q_value"] for r in alone] == [r["q_value"] for r in beside]
    assert [r["keep"] for r in alone] == [r["keep"] for r in beside]


def test_parts_judged_apart_are_judged_as_all_together():
    rng = np.random.default_rng(0)
    rows = [
        row(
            image_id=f"q/{i // 2}",
            concept=("gland", "nucleus")[i % 2],
            clip_prob=float(rng.random()),
            ks_rim=float(rng.random()),
            roles=["decoy"] if i % 5 == 0 else ["positive"],
            reason="empty" if i % 7 == 0 else None,
            area_px=0 if i % 7 == 0 else 400,
        )
        for i in range(60)
    ]
    config = FilterConfig(fdr=0.3)
    whole = deciding.judge(table(rows), config)
    parts = [
        deciding.judge(table(rows[a:b]), config).to_table()
        for a, b in ((0, 20), (20, 20), (20, 60))
    ]
    joined = Judged.from_table(pa.concat_tables(parts))
    for field in dataclasses.fields(Judged):
        assert np.array_equal(
            getattr(joined, field.name), getattr(whole, field.name), equal_nan=field.name == "score"
        ), field.name
