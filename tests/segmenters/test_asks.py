"""Which decoys a picture gets."""

from ner.concepts import concepts
from ner.families import family, related
from ner.ground import forbidden
from segmenters.asks import COMMON, asks
from segmenters.config import SegmentConfig


def mention(concept, polarity="affirmed"):
    kind = concepts()[concept].kind
    return {
        "concept": concept,
        "kind": kind,
        "polarity": polarity,
        "groundable": polarity == "affirmed",
    }


def test_decoys_cannot_be_in_the_picture():
    table = concepts()
    found = asks(
        [mention("glomerulus"), mention("gland", "negated")],
        [{"kind": "site", "value": "kidney", "start": 0, "end": 1}],
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
