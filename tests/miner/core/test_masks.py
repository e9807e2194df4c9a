"""Run-length encodings."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from miner.core.masks import bbox, decode, encode, united

SHAPES = st.tuples(st.integers(1, 12), st.integers(1, 12))


@given(arrays(np.bool_, SHAPES))
@settings(max_examples=80, deadline=None)
def test_round_trip(mask):
    assert (decode(encode(mask), *mask.shape) == mask).all()
    as_bytes = encode(np.asfortranarray(mask.astype(np.uint8)))
    assert as_bytes == encode(mask)


def test_box_ends_are_exclusive():
    mask = np.zeros((10, 12), bool)
    mask[3:5, 4:9] = True
    assert bbox(mask) == (4, 3, 9, 5)


@given(st.lists(arrays(np.bool_, (7, 9)), min_size=1, max_size=4))
@settings(max_examples=60, deadline=None)
def test_a_union_is_encoded_as_any_mask(masks):
    whole = np.logical_or.reduce(masks)
    counts, mask = united([encode(one) for one in masks], 7, 9)
    assert counts == encode(whole)
    assert (mask == whole).all()
