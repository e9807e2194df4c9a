"""Run-length encodings."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from segmenters.regions import bbox, decode, encode, encode_labels

SHAPES = st.tuples(st.integers(1, 12), st.integers(1, 12))


@given(arrays(np.bool_, SHAPES))
@settings(max_examples=80, deadline=None)
def test_round_trip(mask):
    assert (decode(encode(mask), *mask.shape) == mask).all()
    as_bytes = encode(np.asfortranarray(mask.astype(np.uint8)))
    assert as_bytes == encode(mask)


@given(arrays(np.int32, SHAPES, elements=st.integers(0, 5)))
@settings(max_examples=120, deadline=None)
def test_objects_in_one_pass_equal_objects_one_by_one(labels):
    assert encode_labels(labels) == [encode(labels == i) for i in np.unique(labels) if i]


def test_box_ends_are_exclusive():
    mask = np.zeros((10, 12), bool)
    mask[3:5, 4:9] = True
    assert bbox(mask) == (4, 3, 9, 5)
