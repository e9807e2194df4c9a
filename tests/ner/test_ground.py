"""Which concepts an organ rules out."""

import pytest

from ner.concepts import concepts
from ner.ground import forbidden, sites_of


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
