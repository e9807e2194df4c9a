"""Which concepts an organ rules out."""

import pytest

from ner.concepts import Concept, concepts
from ner.ground import NOTHING, forbidden, reason, sites_of


def facts(*sites):
    return [{"kind": "site", "value": s, "start": 0, "end": 1} for s in sites]


@pytest.mark.parametrize(
    ("sites", "expected"),
    [
        ((), False),
        (("kidney",), True),
        (("Kidney",), True),
        (("liver",), False),
        (("kidney", "liver"), False),
        (("some organ nobody listed",), False),
    ],
)
def test_a_hepatocyte(sites, expected):
    assert forbidden(concepts()["hepatocyte"], sites_of(facts(*sites))) is expected


def test_what_the_table_does_not_know_is_not_forbidden():
    assert not forbidden(None, sites_of(facts("kidney")))
    assert sites_of(None) == frozenset()


@pytest.mark.parametrize(
    ("size_um", "expected"),
    [((1.0, 9.9), "scale"), ((1.0, 10.0), None), ((1.0, 50.0), None), ((20.0, 50.0), None)],
)
def test_a_structure_is_too_small_when_its_largest_is(size_um, expected):
    concept = Concept("thing", "object", size_um=size_um)
    assert reason(concept, "affirmed", NOTHING._replace(smallest_um=10.0)) == expected
    assert reason(concept, "affirmed", NOTHING) is None
