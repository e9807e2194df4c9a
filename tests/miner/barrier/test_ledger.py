"""The ledger's rows: every candidate with every caption that names it."""

import itertools

import pyarrow as pa
import pytest

from miner.barrier.ledger import candidate_rows, candidate_schema
from miner.core.unit import CANDIDATES

SCHEMA = pa.schema([*CANDIDATES, pa.field("keep", pa.bool_())])


def mention(polarity, start, concept="gland"):
    return {"concept": concept, "polarity": polarity, "start": start, "end": start + 5}


def sample(name, *mentions, image="q/i"):
    return {"sample_id": name, "image_id": image, "mentions": list(mentions)}


def candidate(concept="gland", keep=True, reason=None, image="q/i"):
    return {"image_id": image, "concept": concept, "keep": keep, "reason": reason, "roles": []}


def rows(samples, candidates):
    table = pa.Table.from_pylist(candidates, SCHEMA)
    return candidate_rows(samples, table, candidate_schema(SCHEMA)).to_pylist()


@pytest.mark.parametrize(
    "order", list(itertools.permutations(("affirmed", "negated", "uncertain")))
)
def test_an_affirmed_mention_stands_for_its_concept_wherever_it_stands(order):
    at = {polarity: 10 * i for i, polarity in enumerate(order)}
    (row,) = rows([sample("a", *(mention(p, at[p]) for p in order))], [candidate()])
    assert (row["polarity"], row["span"]) == ("affirmed", [at["affirmed"], at["affirmed"] + 5])
    assert (row["keep"], row["reason"]) == (True, None)


def test_of_several_affirmed_mentions_the_first_stands():
    (row,) = rows([sample("a", mention("affirmed", 3), mention("affirmed", 40))], [candidate()])
    assert row["span"] == [3, 8]


@pytest.mark.parametrize("polarity", ["negated", "uncertain"])
def test_a_kept_mask_is_not_kept_for_a_caption_that_does_not_affirm_it(polarity):
    samples = [sample("a", mention("affirmed", 0)), sample("b", mention(polarity, 7))]
    yes, no = rows(samples, [candidate()])
    assert (yes["sample_id"], yes["keep"], yes["reason"]) == ("a", True, None)
    assert (no["sample_id"], no["keep"], no["reason"]) == ("b", False, polarity)
    (dropped,) = rows([samples[1]], [candidate(keep=False, reason="low_score")])
    assert dropped["reason"] == "low_score"


def test_a_decoy_appears_once_with_the_first_caption_of_its_picture():
    samples = [
        sample("a", mention("affirmed", 0)),
        sample("b", mention("affirmed", 0)),
        sample("c", mention("affirmed", 0), image="q/other"),
    ]
    found = rows(samples, [candidate(), candidate("keratin", keep=False, reason="decoy")])
    assert [(r["sample_id"], r["concept"], r["span"]) for r in found] == [
        ("a", "gland", [0, 5]),
        ("a", "keratin", None),
        ("b", "gland", [0, 5]),
    ]
    assert [r["polarity"] for r in found] == ["affirmed", None, "affirmed"]


def test_what_another_caption_names_is_no_decoy_of_the_first():
    samples = [sample("a"), sample("b", mention("affirmed", 0))]
    assert [r["sample_id"] for r in rows(samples, [candidate()])] == ["b"]
