"""Objects, intervals and phrases, by values that were worked out by hand."""

import numpy as np
import pytest

from miner.evaluate.figures import bootstrap, objects, row
from miner.evaluate.instances import match
from miner.evaluate.phrases import phrases
from miner.evaluate.regions import Judged
from miner.evaluate.worst import worst


def judged(iou=1.0, group="g", score=0.9, objects=None, concept="nucleus", image="a.jpg"):
    return Judged("k", "c", image, group, {}, concept, iou, iou, score, objects)


def labels(*boxes):
    found = np.zeros((10, 20), int)
    for i, (y, x, height, width) in enumerate(boxes, start=1):
        found[y : y + height, x : x + width] = i
    return found


def test_objects_are_matched_one_by_one():
    # One drawn whole, one with 6 of its 10 px, one missed; one drawn where there is none.
    truth = labels((0, 0, 2, 5), (4, 0, 2, 5), (8, 0, 2, 5))
    mined = labels((0, 0, 2, 5), (4, 0, 2, 3), (0, 15, 2, 2))
    found = match(mined, truth)
    assert (found.hits, found.mined, found.outlined) == (2, 3, 3)
    assert found.iou == pytest.approx(1.6)
    assert (found.intersection, found.union) == (16, 10 + 10 + 10 + 4)
    figures = objects([judged(objects=found)])
    assert (figures["dq"], figures["sq"]) == (0.6667, 0.8)
    assert figures["pq"] == 0.5333
    assert figures["aji"] == round(16 / 34, 4)


def test_no_object_on_either_side():
    nothing = np.zeros((4, 4), int)
    assert match(nothing, nothing).union == 0
    assert match(np.eye(4, dtype=int), nothing).union == 4
    assert match(nothing, np.eye(4, dtype=int)).union == 4
    assert objects([judged(), judged()]) is None


def test_a_bootstrap_draws_groups():
    alone = bootstrap([f"g{i}" for i in range(40)], [1.0] * 20 + [0.0] * 20, [1.0] * 40)
    together = bootstrap([f"g{i // 10}" for i in range(40)], [1.0] * 20 + [0.0] * 20, [1.0] * 40)
    # Of 40 independent halves the interval is .5 -+ 1.96 * sqrt(.25 / 40).
    assert alone == pytest.approx((0.345, 0.655), abs=0.03)
    assert together == (0.0, 1.0)
    assert bootstrap(["g", "g"], [1.0, 0.0], [1.0, 1.0]) is None


def test_all_right_is_not_certain():
    figures = row([judged(group=f"g{i}") for i in range(20)])
    assert figures["precision"] == 1
    assert 0.8 < figures["precision_low"] < 0.95
    assert row([])["precision"] is None


def test_the_worst_come_first():
    cases = [judged(0.9), judged(None), judged(0.0, score=0.5), judged(0.0, score=0.99)]
    assert [j.score for j in worst(cases, 3)] == [0.99, 0.5, 0.9]


def mention(start, end, concept, polarity="affirmed", **more):
    return {
        "start": start, "end": end, "concept": concept, "polarity": polarity, "kind": "object",
        "turn": None, **more,
    }  # fmt: skip


def test_phrases_are_found_grounded_and_right():
    gold = [
        {
            "corpus": "c", "image": "a.jpg", "caption": "glands, nuclei, no fat, a vessel",
            "mentions": [
                mention(0, 6, "gland", mask_path="x"),
                mention(8, 14, "nucleus", mask_path="x"),
                mention(19, 22, "fat", "negated"),
                mention(26, 32, "vessel", mask_path="x"),
                {"start": 0, "end": 3, "concept": "high power", "polarity": "affirmed",
                 "kind": "other"},
            ],
        }
    ]  # fmt: skip
    ours = [mention(0, 6, "gland"), mention(8, 14, "nucleus"), mention(19, 22, "fat")]
    caption = {"corpus": "c", "image": "a.jpg", "caption": gold[0]["caption"], "mentions": ours}
    found = phrases(gold, [caption], [judged(0.8, concept="gland"), judged(0.2)])
    assert (found["phrases"], found["named"], found["found"]) == (3, 3, 2)
    assert (found["precision"], found["recall"]) == (0.6667, 0.6667)
    assert found["polarity"] == 0.6667
    assert (found["outlined"], found["grounded"], found["right"]) == (3, 2, 1)
    assert found["grounded_recall"] == 0.3333
    assert phrases(gold, [{**caption, "caption": "another"}], []) is None
