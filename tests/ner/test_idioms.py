"""How people talk in lectures: sentences of `idioms.tsv`, written before any rule they test."""

import csv
from pathlib import Path

import pytest

import ner
from tests.ner.marked import parse

with (Path(__file__).parent / "idioms.tsv").open(encoding="utf-8") as lines:
    ROWS = [
        (row["said"], row["facts"])
        for row in csv.DictReader((line for line in lines if line[0] != "#"), delimiter="\t")
    ]


def test_there_are_a_hundred():
    assert len(ROWS) == 100


@pytest.mark.parametrize(("said", "facts"), ROWS)
def test_reading(said, facts):
    text, expected = parse(said)
    found = ner.extract(text)
    assert [(m.text, m.polarity) for m in found.mentions] == [(t, p) for t, _, p in expected]
    for mention, (_, concept, _) in zip(found.mentions, expected, strict=True):
        assert concept in (None, mention.concept)
    stated = {f"{f.kind}={f.value}" for f in found.facts if f.kind in ("site", "diagnosis")}
    assert stated == set(filter(None, facts.split("; ")))
