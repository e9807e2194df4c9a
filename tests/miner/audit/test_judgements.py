"""Judgements as they come back: other runs, doubles, nonsense, hostile lines."""

import json

import pytest

from miner.audit.judgements import read_judgements
from miner.core.errors import Refused

AUDIT = {"audit": "abc", "items": [{"item": i, "size": [160, 120]} for i in ("1", "2")]}
GOOD = {"audit": "abc", "item": "1", "auditor": "ann", "verdict": "right"}


def write(path, *lines):
    path.write_text("".join((x if isinstance(x, str) else json.dumps(x)) + "\n" for x in lines))
    return path


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("[]", "no object"),
        ({**GOOD, "audit": "other"}, "another audit"),
        ({**GOOD, "item": "3"}, "unknown item"),
        ({**GOOD, "item": ["1"]}, "unknown item"),
        ({**GOOD, "auditor": " "}, "no auditor"),
        ({**GOOD, "verdict": "fine"}, "one of right"),
        ({**GOOD, "verdict": {}}, "one of right"),
        ({**GOOD, "outline": [[0, 0], [1, 1]]}, "corners"),
        ({**GOOD, "outline": [[0, 0], [1, "x"], [2, 2]]}, "corners"),
        ({**GOOD, "outline": [[160, 0], [200, 0], [200, 50]]}, "outside of the picture"),
        ({**GOOD, "outline": [[[0, 130], [9, 130], [9, 140]]]}, "outside of the picture"),
        ('{"audit": "abc", "item": "1", "auditor": "a", "verdict": "right", "outline": '
         "[[NaN, 1], [2, 2], [3, 3]]}", "corners"),
    ],
)  # fmt: skip
def test_a_line_that_cannot_count_is_said(tmp_path, line, why):
    found = read_judgements([write(tmp_path / "j.jsonl", GOOD, line)], AUDIT)
    assert len(found.found) == 1
    assert len(found.problems) == 1
    assert found.problems[0].startswith("j.jsonl:2: ")
    assert why in found.problems[0]


def test_the_last_of_an_auditor_counts_and_auditors_are_apart(tmp_path):
    again = {**GOOD, "verdict": "wrong_object"}
    file = write(tmp_path / "j.jsonl", GOOD, "", again, {**GOOD, "auditor": "bob"})
    found = read_judgements([file], AUDIT)
    assert [(j.auditor, j.verdict) for j in found.found] == [
        ("ann", "wrong_object"),
        ("bob", "right"),
    ]
    assert "judged again at j.jsonl:3" in found.problems[0]


def test_an_outline_is_kept(tmp_path):
    corners = [[0, 0], [4.5, 0], [4, 4]]
    found = read_judgements([write(tmp_path / "j", {**GOOD, "outline": corners})], AUDIT)
    assert found.found[0].outline == (((0.0, 0.0), (4.5, 0.0), (4.0, 4.0)),)
    rings = [corners, [[1, 1], [2, 1], [2, 2]]]
    found = read_judgements([write(tmp_path / "j", {**GOOD, "outline": rings})], AUDIT)
    assert [len(ring) for ring in found.found[0].outline] == [3, 3]
    over_the_edge = {**GOOD, "outline": [[-5, -5], [9, -5], [9, 9]]}
    assert read_judgements([write(tmp_path / "j", over_the_edge)], AUDIT).found[0].outline


def test_a_file_of_another_audit_or_none_is_refused(tmp_path):
    with pytest.raises(Refused, match="no judgement of this audit"):
        read_judgements([write(tmp_path / "j", {**GOOD, "audit": "x"})], AUDIT)
    with pytest.raises(Refused, match="gone"):
        read_judgements([tmp_path / "gone"], AUDIT)
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(Refused, match="binary"):
        read_judgements([tmp_path / "binary"], AUDIT)


def test_an_outline_that_only_begins_in_the_picture_is_kept(tmp_path):
    beyond = [[-20, -20], [300, -20], [300, 400]]
    found = read_judgements([write(tmp_path / "j.jsonl", {**GOOD, "outline": beyond})], AUDIT)
    assert found.found[0].outline is not None
    assert not found.problems
