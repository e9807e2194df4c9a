import itertools

import pytest

from ner.mentions import Mention
from ner.merge import merge


def mention(start, end, polarity="affirmed", concept="gland"):
    return Mention(start, end, "x" * (end - start), concept, "object", polarity)


def summary(found, rule):
    return [(m.start, m.end, m.polarity, m.sources) for m in merge(found, rule)]


LEXICON = [mention(0, 5), mention(10, 15, "negated"), mention(20, 25, "uncertain")]
LLM = [mention(0, 3), mention(10, 15), mention(20, 26), mention(30, 35), mention(40, 45, "negated")]
SCISPACY = [mention(11, 15, "negated"), mention(30, 36)]
ALL = {"lexicon": LEXICON, "llm": LLM, "scispacy": SCISPACY}
BOTH = ("lexicon", "llm")


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (
            "union",
            [
                (0, 5, "affirmed", BOTH),
                (10, 15, "negated", ("lexicon", "llm", "scispacy")),
                (20, 25, "uncertain", BOTH),
                (30, 35, "affirmed", ("llm", "scispacy")),
                (40, 45, "negated", ("llm",)),
            ],
        ),
        (
            "majority",
            [
                (0, 5, "affirmed", BOTH),
                (10, 15, "negated", ("lexicon", "llm", "scispacy")),
                (20, 25, "uncertain", BOTH),
                (30, 35, "affirmed", ("llm", "scispacy")),
            ],
        ),
        (
            "lexicon",
            [
                (0, 5, "affirmed", BOTH),
                (10, 15, "negated", ("lexicon", "llm", "scispacy")),
                (20, 25, "affirmed", BOTH),
                (30, 35, "affirmed", ("llm", "scispacy")),
            ],
        ),
    ],
)
def test_rules(rule, expected):
    assert summary(ALL, rule) == expected


def test_disagreement_is_kept():
    votes = merge(ALL, "union")[1].votes
    assert votes == ("lexicon:negated", "llm:affirmed", "scispacy:negated")


def test_a_source_without_an_answer_does_not_vote():
    assert summary({"lexicon": LEXICON}, "majority") == [
        (0, 5, "affirmed", ("lexicon",)),
        (10, 15, "negated", ("lexicon",)),
        (20, 25, "uncertain", ("lexicon",)),
    ]


def test_order_of_the_sources_does_not_matter():
    assert merge(dict(reversed(ALL.items())), "union") == merge(ALL, "union")


def test_no_overlaps_come_out():
    found = {"lexicon": [mention(0, 10)], "llm": [mention(8, 20), mention(15, 30)]}
    merged = merge(found, "union")
    assert all(a.end <= b.start for a, b in itertools.pairwise(merged))
