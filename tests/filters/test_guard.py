"""Which concepts an organ rules out, and which decoys follow from it."""

import pytest

from filters.families import family, related
from ner.concepts import concepts
from ner.ground import forbidden, sites_of
from segmenters.asks import COMMON, asks
from segmenters.config import SegmentConfig


def facts(*sites):
    return [{"kind": "site", "value": s, "start": 0, "end": 1} for s in sites]


def mention(concept, polarity="affirmed"):
    kind = concepts()[concept].kind
    return {
        "concept": concept,
        "kind": kind,
        "polarity": polarity,
        "groundable": polarity == "affirmed",
    }


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


def test_decoys_cannot_be_in_the_picture():
    table = concepts()
    found = asks(
        [mention("glomerulus"), mention("gland", "negated")],
        facts("kidney"),
        lambda name: True,
        SegmentConfig(decoys=4),
        "q/a",
    )
    decoys = [a["concept"] for a in found if a["roles"] == ["decoy"]]
    assert len(decoys) == 4
    assert all(forbidden(table[d], frozenset({"kidney"})) for d in decoys)
    assert all(family(table[d], table[d].kind) == "structure" for d in decoys[:1])


def test_decoys_are_no_kin_and_nothing_common():
    table = concepts()
    everything = asks(
        [mention("gland")], [], lambda name: True, SegmentConfig(decoys=10_000), "q/a"
    )
    decoys = {a["concept"] for a in everything if a["roles"] == ["decoy"]}
    assert not decoys & COMMON
    assert not any(related(d, "gland", table) for d in decoys)
    assert "gland" not in decoys


def test_decoys_differ_between_pictures_and_not_between_runs():
    def chosen(image_id):
        found = asks([mention("nucleus")], [], lambda n: True, SegmentConfig(), image_id)
        return [a["concept"] for a in found if a["roles"] == ["decoy"]]

    assert chosen("q/a") == chosen("q/a")
    assert len({tuple(chosen(f"q/{i}")) for i in range(10)}) > 3


def test_every_concept_has_a_family():
    found = {family(c, c.kind) for c in concepts().values()}
    assert found == {"cell", "structure", "clear", "tissue"}
    assert family(None, "object") == "structure"
    assert family(None, "stuff") == "tissue"


def test_kinship():
    table = concepts()
    assert related("lymphocyte", "nucleus", table)
    assert related("gland", "lumen", table)
    assert related("nucleus", "nucleus", table)
    assert not related("lumen", "nucleus", table)
