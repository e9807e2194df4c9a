"""What samples say to be there or not, and how many, beside what experts say."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from miner.core.masks import encode
from miner.evaluate.known import StatedConcept, _mcc, _pmf1, stated
from miner.evaluate.truth import Truth


def mask(x1: int, x2: int) -> np.ndarray:
    found = np.zeros((10, 20), bool)
    found[2:6, x1:x2] = True
    return found


def region(concept: str, parts: list, count: dict | None = None) -> dict:
    rles = [{"size": [10, 20], "counts": encode(p)} for p in parts]
    whole = {"size": [10, 20], "counts": encode(np.logical_or.reduce(parts))}
    return {"concept": concept, "rle": whole, "instances": rles, "count": count}


def sample(image: str, regions: list, **states: str) -> dict:
    concepts = [{"concept": n.replace("_", " "), "state": s} for n, s in states.items()]
    return {
        "corpus": "quilt", "image": image, "regions": regions, "mentions": [], "negatives": [],
        "concepts": concepts,
    }  # fmt: skip


@pytest.fixture
def truth(tmp_path):
    labels = np.zeros((10, 20), np.uint8)
    for n, (x1, x2) in enumerate([(0, 4), (6, 10), (12, 16)], start=1):
        labels[mask(x1, x2)] = n
    folder = tmp_path / "masks/quilt"
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True)
        cv2.imwrite(str(folder / name / "gland.png"), labels)
    gone = {"corpus": "quilt", "image": "a.jpg", "mentions": [{"concept": "fat", "present": False}]}
    (tmp_path / "masks/gold.jsonl").write_text(json.dumps(gone))
    return Truth(tmp_path / "masks")


def test_states_and_numbers_are_held_against_the_truth(truth) -> None:
    two = region("gland", [mask(0, 4), mask(6, 8)], {"low": 2, "n": 2, "high": 3})
    found = stated(
        [
            sample("a.jpg", [], gland="unknown", fat="absent"),
            sample("a.jpg", [two], gland="present", nerve="unknown"),
            sample("b.jpg", [], gland="absent"),
        ],
        truth,
    )
    by = {(s.concept, s.state): s for s in found}
    # Of two captions of a picture the one with the region counts.
    assert set(by) == {
        ("gland", "present"), ("fat", "absent"), ("nerve", "unknown"), ("gland", "absent"),
    }  # fmt: skip
    gland = by["gland", "present"]
    assert (gland.there, gland.outlined, gland.mined, gland.count) == (True, 3, 2, 2)
    assert gland.hits == (1.0,)  # the second covers half: IoU .5 is no hit
    assert gland.recall == pytest.approx(0.5)
    assert gland.interval == (2, 3)
    assert by["fat", "absent"].there is False
    assert by["nerve", "unknown"].there is None
    assert by["gland", "absent"].there is True  # said to be absent, and it is there


def test_localisation_counts_objects_of_what_is_there() -> None:
    there = StatedConcept("gland", "present", True, outlined=3, mined=3, hits=(0.95, 0.72))
    missed = StatedConcept("gland", "unknown", True, outlined=2)
    gone = StatedConcept("fat", "present", False, mined=4)  # a matter of presence
    # Ten thresholds: .95 is a hit at all, .72 at .5 to .7; F1 = 2 hits / 8.
    assert _pmf1([there, missed, gone]) == pytest.approx((5 * 4 / 8 + 5 * 2 / 8) / 10, abs=1e-4)
    assert _pmf1([gone]) is None


def test_presence_is_a_correlation() -> None:
    yes, no = StatedConcept("a", "present", True), StatedConcept("b", "absent", False)
    assert _mcc([yes, no]) == 1
    assert _mcc([StatedConcept("a", "present", False), StatedConcept("b", "unknown", True)]) == -1
    assert _mcc([yes, StatedConcept("c", "unknown", True)]) is None  # nothing is known to be absent
    assert _mcc([StatedConcept("a", "unknown", True), no]) == 0
