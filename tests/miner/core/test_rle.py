"""Many run-length encodings at once, as pycocotools has them one by one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from miner.core.masks import encode
from miner.core.rle import decode_labels, decode_masks, encode_labels

SHAPES = st.tuples(st.integers(1, 12), st.integers(1, 12))


@given(arrays(np.int32, SHAPES, elements=st.integers(0, 5)))
@settings(max_examples=120, deadline=None)
def test_objects_in_one_pass_equal_objects_one_by_one(labels):
    assert encode_labels(labels) == [encode(labels == i) for i in np.unique(labels) if i]


def test_label_maps_as_pycocotools_reads_them():
    rng = np.random.default_rng(0)
    for shape in ((1, 1), (7, 3), (40, 65)):
        labels = rng.integers(0, 4, shape).astype(np.int32)
        labels[0, 0] = 3
        present = [i for i in np.unique(labels) if i]
        found = decode_labels(encode_labels(labels), shape)
        assert np.array_equal(found, np.searchsorted(present, labels, side="right") * (labels > 0))
    assert decode_labels([], (3, 4)).shape == (3, 4)


@given(arrays(np.bool_, st.tuples(st.integers(1, 3), st.integers(1, 12), st.integers(1, 12))))
@settings(max_examples=60, deadline=None)
def test_stacks_of_masks(masks):
    size = list(masks.shape[1:])
    found = decode_masks([{"size": size, "counts": encode(m)} for m in masks], *size)
    assert np.array_equal(found, masks)


def test_what_is_cut_off_is_no_label_map():
    with pytest.raises(ValueError, match="cut off"):
        decode_labels(["05o"], (8, 8))
