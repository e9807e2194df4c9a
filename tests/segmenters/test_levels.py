"""Counting levels gives numpy's numbers."""

import numpy as np
import pytest

from segmenters import levels


@pytest.mark.parametrize("percent", [0, 12.3, 50, 99, 99.5, 100])
@pytest.mark.parametrize("size", [(1, 1), (1, 2), (3, 5), (40, 33)])
def test_percentiles_are_those_of_numpy(size, percent):
    rng = np.random.default_rng(0)
    for most in (1, 3, 256):
        plane = rng.integers(0, most, (*size, 3), np.uint8)[..., 1]
        assert levels.percentile(plane, percent) == np.percentile(plane, percent)


def test_extremes_are_those_of_the_channels():
    image = np.random.default_rng(1).integers(0, 256, (9, 7, 3), np.uint8)
    low, high = levels.extremes(image)
    assert np.array_equal(low, image.min(axis=2))
    assert np.array_equal(high, image.max(axis=2))
