"""What the calibration page shows of a run."""

import numpy as np
import pytest

from filters.config import FilterConfig
from filters.decide import accepted_from, estimate_fdr, judge
from filters.page import BINS, _right, calibration_page
from tests.filters.test_decide import row, table


def shown(rows, config):
    judged = judge(table(rows), config)
    estimate = estimate_fdr(judged, config)
    return calibration_page(judged, estimate, accepted_from(judged, estimate, config), config)


@pytest.fixture(scope="module")
def page():
    rng = np.random.default_rng(0)
    rows = [row(image_id=f"q/{i}", ks_rim=float(rng.uniform(0.1, 0.9))) for i in range(60)]
    rows += [
        row(image_id=f"d/{i}", roles=["decoy"], clip_prob=0.01, clip_rank=0.0, confidence=0.3)
        for i in range(40)
    ]
    rows += [row(image_id=f"n/{i}", roles=["negated"]) for i in range(5)]
    rows.append(row(image_id="e/0", reason="unsupported", area_px=None))
    return shown(rows, FilterConfig(at_least={"ks_rim": 0.5}))


def test_every_mask_is_in_one_histogram(page):
    counts = {name: sum(page["histograms"][name]) for name in ("target", "decoy", "negated")}
    assert counts == {"target": 60, "decoy": 40, "negated": 5}  # the answer without a mask is not
    assert sum(page["histograms"]["accepted"]) == page["fdr"]["accepted"] > 0
    assert page["target"] is None
    assert len(page["histograms"]["edges"]) == BINS + 1
    assert sum(page["levels"].values()) == 105


def test_rates_and_their_check(page):
    rates = page["fdr"]
    assert rates["decoys"] == 40
    assert rates["decoys_enough"]
    assert 0 <= rates["expected"] < 1
    assert rates["governs"] in ("expected", "decoy")
    assert rates["entrapment"]["asked"] == 20
    assert 0 <= rates["entrapment"]["accepted"] <= 20
    assert rates["right"]["expected"] == round((1 - rates["expected"]) * rates["accepted"])


def test_the_interval_of_right_masks_holds_19_runs_in_20():
    rng = np.random.default_rng(0)
    probability = rng.uniform(0.5, 1, 26)
    found = _right(float(probability.mean()), 26)
    runs = (rng.random((4000, 26)) < probability).sum(axis=1)
    inside = ((runs >= found["least"]) & (runs <= found["most"])).mean()
    assert 0.94 < inside < 0.999
    assert found["least"] < found["expected"] < found["most"] <= 26


def test_a_run_without_decoys_has_no_check():
    page = shown([row()], FilterConfig())
    assert page["fdr"]["entrapment"] == {
        "asked": 0,
        "accepted": 0,
        "least": None,
        "most": None,
    }
    assert (page["fdr"]["right"] is None) == (page["fdr"]["accepted"] == 0)
    assert not page["fdr"]["decoys_enough"]
