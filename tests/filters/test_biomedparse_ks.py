"""BiomedParse's test: equal to scipy's exact computation, and without the original's bugs."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from filters import biomedparse_ks as bp
from miner.core.errors import Refused

PARAMETERS = st.tuples(st.floats(0.5, 60), st.floats(0.5, 60))


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.floats(0.001, 0.999), min_size=4, max_size=4),
    st.lists(PARAMETERS, min_size=4, max_size=4),
)
def test_equals_scipy_with_one_value(features, parameters):
    expected = [
        stats.ks_1samp([f], stats.beta(a, b).cdf).pvalue
        for f, (a, b) in zip(features, parameters, strict=True)
    ]
    found = bp.tail_probabilities(np.array(features), np.array(parameters))
    assert np.abs(found - expected).max() <= 1e-12
    whole = bp.score(np.array(features), ["x"], {"x": np.array(parameters)})
    assert abs(whole - np.prod(expected) ** 0.25) <= 1e-12


def test_features_of_a_mask():
    image = np.zeros((4, 4, 3), np.uint8)
    image[:2] = (200, 100, 50)
    probability = np.zeros((4, 4))
    probability[:2] = 0.8
    expected = np.array([0.8 * 255, 200, 100, 50]) / 256
    assert bp.mask_features(image, probability) == pytest.approx(expected, abs=1e-15)


def test_a_peak_between_127_and_128_is_an_empty_mask():
    probability = np.full((4, 4), 127.5 / 255)
    features = bp.mask_features(np.zeros((4, 4, 3), np.uint8), probability)
    assert features is None
    assert bp.score(features, ["x"], {"x": np.ones((4, 2))}) == 0.0


def test_unknown_target_is_undefined():
    assert bp.score(np.full(4, 0.5), ["y"], {"x": np.ones((4, 2))}) is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("not json", "not JSON"),
        ("[]", "not a table"),
        ('{"CT": {}}', "has no Pathology"),
        ('{"Pathology": {"x": [[1, 2], [1, 2], [1, 2]]}}', "not four"),
        ('{"Pathology": {"x": [[1, 2], [1, 2], [1, 2], [1, -2]]}}', "not four"),
        ('{"Pathology": {"x": [[1, 2], [1, 2], [1, 2], [1, null]]}}', "not four"),
    ],
)
def test_refuses_other_files(tmp_path, content, message):
    file = tmp_path / "target_dist.json"
    file.write_text(content)
    with pytest.raises(Refused, match=message):
        bp.load_table(file)


def test_refuses_a_missing_file(tmp_path):
    with pytest.raises(Refused, match="biomedparse_table"):
        bp.load_table(tmp_path / "none.json")


def test_reads_the_published_file(shared):
    table = bp.load_table(shared / "biomedparse" / "target_dist.json")
    raw = json.loads((shared / "biomedparse" / "target_dist.json").read_text())["Pathology"]
    assert sorted(table) == sorted(raw)
    assert all(v.shape == (4, 2) for v in table.values())


def test_of_several_targets_the_one_that_fits_best_counts():
    features = np.array([0.5, 0.5, 0.5, 0.5])
    table = {"near": np.full((4, 2), 20.0), "far": np.tile([60.0, 2.0], (4, 1))}
    both = bp.score(features, ["far", "near"], table)
    assert both == bp.score(features, ["near"], table) > bp.score(features, ["far"], table)
