"""Which concepts an organ rules out."""

import pytest

from ner.concepts import Concept, concepts
from ner.extractor import default
from ner.ground import NOTHING, forbidden, named_sites, reason, sites_of


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


@pytest.mark.parametrize(
    ("text", "told", "named"),
    [
        ("Kidney biopsy with glomeruli.", {"kidney"}, {"kidney"}),
        ("Colonic mucosa with crypts.", {"colon"}, {"colon"}),
        # What only a structure tells, of which nobody knows in which picture it is.
        ("Tumor. In the slide before this one we had glomeruli.", {"kidney"}, set()),
        ("Tumor. In the slide before this one we had liver cells.", {"liver"}, set()),
        # A structure that is in doubt, or denied, tells nothing.
        ("Tumor. Dark foci possibly correspond to liver cells.", set(), set()),
        ("Tumor; liver cells are not seen.", set(), set()),
    ],
)
def test_an_organ_that_a_structure_tells_rules_nothing_out(text, told, named):
    mentions, found = default()(text)
    known = [fact._asdict() for fact in found]
    assert sites_of(known) == told
    assert named_sites(known, [mention._asdict() for mention in mentions]) == named


def test_an_organ_that_the_publisher_states_is_named():
    stated = [{"kind": "site", "value": "kidney", "start": None, "end": None}]
    glomeruli = [{"concept": "glomerulus", "start": 0, "end": 9}]
    assert named_sites(stated, glomeruli) == {"kidney"}


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
