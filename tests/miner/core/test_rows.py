"""Rows and their Arrow types; what makes, judges and publishes rows has the same fields."""

import datetime
import json
from typing import Annotated, Literal, NotRequired

import pyarrow as pa
import pydantic
import pytest
from typing_extensions import TypedDict

from filters.scores import VERDICT
from miner.core import rows
from miner.core.unit import CANDIDATES_ADDED, IMAGES_ADDED, MENTION, SAMPLES_ADDED
from ner.mentions import Fact, Mention
from shards import sample


class Inner(TypedDict):
    word: str


class Outer(Inner):
    whole: int
    long: rows.Int64 | None
    share: NotRequired[Annotated[float, pydantic.Field(ge=0)]]
    side: Literal["left", "right"]
    inner: list[Inner] | None
    raw: Annotated[bytes, pa.binary(3)]


def test_arrow_types_follow_from_annotations():
    inner = pa.struct([("word", pa.string())])
    assert rows.schema(Outer) == pa.schema(
        [
            ("word", pa.string()),
            ("whole", pa.int32()),
            ("long", pa.int64()),
            ("share", pa.float64()),
            ("side", pa.string()),
            ("inner", pa.list_(inner)),
            ("raw", pa.binary(3)),
        ]
    )


def test_what_no_column_can_hold_is_no_row():
    with pytest.raises(KeyError):
        rows.arrow_type(datetime.date)


def test_what_finds_mentions_gives_their_rows():
    found = Mention(0, 5, "gland", "gland", "object", "negated", ("lexicon",), ("lexicon:negated",))
    (row,) = pa.array([found._asdict()], MENTION).to_pylist()
    assert row == {
        "start": 0,
        "end": 5,
        "text": "gland",
        "concept": "gland",
        "kind": "object",
        "polarity": "negated",
        "sources": ["lexicon"],
        "groundable": True,
        "reason": None,
        "votes": ["lexicon:negated"],
        "turn": None,
    }
    assert set(Mention._fields) == set(rows.MentionRow.__annotations__)
    assert Fact._fields == tuple(rows.FactRow.__annotations__)


def test_stages_and_verdicts_add_these():
    assert SAMPLES_ADDED.names == ["strata", "mentions", "facts"]
    assert IMAGES_ADDED.names == ["asks", "drawn_px", "embedding", "thumbnail", "pixel_hash"]
    assert CANDIDATES_ADDED.names == ["overlap_with", "inside_of", "notes"]
    assert set(VERDICT) <= set(rows.JudgedCandidate.__annotations__)


def mention(**more):
    values = {"start": 0, "end": 5, "text": "gland", "concept": "gland", "kind": "object"}
    values |= {"polarity": "affirmed", "sources": ["lexicon"], "groundable": True, "reason": None}
    return values | {"regions": []} | more


@pytest.mark.parametrize(
    "wrong", [{"votes": []}, {"start": -1}, {"start": 0.0}, {"polarity": "sure"}, {"turn": None}]
)
def test_a_published_row_has_these_fields_and_no_others(wrong):
    adapter = pydantic.TypeAdapter(sample.SampleMention)
    adapter.validate_json(json.dumps(mention()))
    adapter.validate_json(json.dumps(mention(turn=1)))
    with pytest.raises(pydantic.ValidationError):
        adapter.validate_json(json.dumps(mention(**wrong)))
