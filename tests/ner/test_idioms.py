"""How people talk and write: sentences of the tables, written before any rule they test."""

import csv
from pathlib import Path

import pytest

import ner
from tests.ner.marked import parse

TABLES = {"idioms": 100, "commas": 40, "doubts": 40}


def _rows(table):
    with (Path(__file__).parent / f"{table}.tsv").open(encoding="utf-8") as lines:
        read = csv.DictReader((line for line in lines if line[0] != "#"), delimiter="\t")
        return [(row["said"], row["facts"]) for row in read]


@pytest.mark.parametrize(("table", "count"), TABLES.items())
def test_no_sentence_is_lost(table, count):
    assert len(_rows(table)) == count


@pytest.mark.parametrize(("said", "facts"), [row for table in TABLES for row in _rows(table)])
def test_reading(said, facts):
    text, expected = parse(said)
    found = ner.extract(text)
    assert [(m.text, m.polarity) for m in found.mentions] == [(t, p) for t, _, p in expected]
    for mention, (_, concept, _) in zip(found.mentions, expected, strict=True):
        assert concept in (None, mention.concept)
    stated = {f"{f.kind}={f.value}" for f in found.facts if f.kind in ("site", "diagnosis")}
    assert stated == set(filter(None, facts.split("; ")))
