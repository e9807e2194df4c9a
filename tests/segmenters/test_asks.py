"""Which decoys a picture gets."""

from ner.concepts import concepts
from ner.families import family, related
from ner.ground import forbidden
from segmenters.asks import COMMON, asks
from segmenters.config import SegmentConfig
from segmenters.equivalents import equivalents


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


def test_what_is_at_home_in_the_organ_is_no_decoy_and_what_is_answered_as_itself_comes_first():
    def decoys(site):
        facts = [{"kind": "site", "value": site, "start": 0, "end": 1}] if site else []
        config = SegmentConfig(decoys=10_000)
        found = asks([mention("neuron")], facts, lambda name: True, config, "q/a")
        return [a["concept"] for a in found if a["roles"] == ["decoy"]]

    # Of all that a gland's mask answers for; in the colon some of them are at home.
    glands = [n for n in decoys(None) if "gland" in (n, *equivalents(n))]
    assert glands == ["gland"]
    assert "gland" not in decoys("colon")
    assert "crypt of lieberkuhn" not in decoys("colon")
    assert "hepatocyte" in decoys("colon")
    assert "hepatocyte" not in decoys("liver")


def test_no_decoy_has_the_mask_of_something_that_may_be_there():
    def decoys(names, site=None):
        facts = [{"kind": "site", "value": site, "start": 0, "end": 1}] if site else []
        config = SegmentConfig(decoys=10_000)
        found = asks([mention(n) for n in names], facts, lambda name: True, config, "q/a")
        return [a["concept"] for a in found if a["roles"] == ["decoy"]]

    # A crypt's mask in the breast is that of a gland, which is right.
    beside_glands = decoys(["gland"], "breast")
    assert not any("gland" in (n, *equivalents(n)) for n in beside_glands)
    # Glandular epithelium is a kind of epithelium, which most tissue has.
    anywhere = decoys(["neuron"], "colon")
    assert not any({"epithelium", "stroma"} & set(equivalents(n)) for n in anywhere)
    # A mask counts once, under whatever name.
    last = [(n, *equivalents(n))[-1] for n in decoys(["neuron"], "brain")]
    assert "gland" in last
    assert len(last) == len(set(last))
