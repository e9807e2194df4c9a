import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from miner.corpora import json_list
from miner.corpora.json_list import (
    MAX_DEPTH,
    NotAList,
    json_records,
    json_table,
    jsonl_records,
    load_json,
)
from miner.corpora.json_members import json_members

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=4), children)
    ),
    max_leaves=5,
)


@settings(max_examples=40, deadline=None)
@given(st.lists(values, max_size=6), st.integers(1, 40), st.sampled_from([None, 1]), st.booleans())
def test_json_ranges_parse_to_the_same_values(items, chunk, indent, ascii_only):
    data = json.dumps(items, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "replace")
    expected = json.loads(data)
    problems: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_list, "_CHUNK", chunk)
        found = list(json_records(io.BytesIO(data), 0, problems))
        for at, record in enumerate(found):
            rest = json_records(io.BytesIO(data), record.offset + record.length)
            assert [r.value for r in rest] == expected[at + 1 :]
    assert [r.value for r in found] == expected
    assert [json.loads(data[r.offset : r.offset + r.length]) for r in found] == expected
    assert problems == []


@pytest.mark.parametrize("cut", [30, 45, 58])
def test_json_cut_in_the_middle_keeps_what_came_before(cut):
    data = json.dumps([{"a": "x" * 10}, {"a": "y" * 10}, {"a": "z" * 10}]).encode()[:cut]
    problems: list[str] = []
    found = list(json_records(io.BytesIO(data), 0, problems))
    assert [r.value["a"][0] for r in found] == ["x", "y", "z"][: len(found)]
    assert len(found) == (cut - 1) // 20
    assert len(problems) == 1
    assert "breaks off at byte" in problems[0]


@pytest.mark.parametrize("data", [b'{"a": 1}', b'"text"', b"", b"\xef\xbb\xbf{}"])
def test_json_that_is_no_list_is_told_apart(data):
    with pytest.raises(NotAList):
        list(json_records(io.BytesIO(data)))


def test_json_with_a_bom_is_read():
    assert [r.value for r in json_records(io.BytesIO(b"\xef\xbb\xbf[1, 2]"))] == [1, 2]


def test_json_lines_with_a_broken_one():
    found = list(jsonl_records(io.BytesIO(b'{"a": 1}\n\n{"a": \n{"a": 3}')))
    assert [r.value for r in found] == [{"a": 1}, None, {"a": 3}]
    assert [r.error for r in found] == ["", "malformed_json", ""]


GOOD = [{"img": f"{i}.jpg", "caption": f"Glands {i}, (see [1])."} for i in range(6)]
BROKEN = {
    "a raw tab": '{"img": "x", "caption": "a\tb"}',
    "a raw line feed": '{"img": "x", "caption": "a\nb"}',
    "a raw NUL": '{"img": "x", "caption": "a\0b"}',
    "an escape of LaTeX": r'{"img": "x", "caption": "\(y\)"}',
    "half an escape": r'{"img": "x", "caption": "\u12"}',
    "a lone comma": '{"img": "x", , "caption": "b"}',
    "a comma at the end": '{"img": "x", "caption": "b",}',
    "no comma": '{"img": "x" "caption": "b"}',
    "no colon": '{"img": "x", "caption" "b"}',
    "an open string": '{"img": "x", "caption": "b}',
    "an open key": '{"img": "x", "caption: "b"}',
    "an open object": '{"img": "x", "caption": "b"',
    "an open object within": '{"img": "x", "meta": {"a": 1, "caption": "b"}',
    "an open list": '{"img": "x", "boxes": [1, 2, "caption": "b"}',
    "a bracket too many": '{"img": "x", "boxes": [1]], "caption": "b"}',
    "a brace too many": '{"img": "x", "caption": "b"}}',
    "quotes within": '{"img": "x", "caption": "he said "no" now"}',
    "a quote within": '{"img": "x", "caption": "5" apart"}',
    "Python's None": '{"img": "x", "caption": None}',
    "Python's quotes": "{'img': 'x', 'caption': 'it is'}",
    "no quotes": "{img: x}",
    "a word": "undefined",
    "a comment": '{"img": "x"} // why',
    "objects like itself": '{"img": "x", "of": [{"img": "p"}, {"img": "q"}], "caption": "a\tb"}',
    "5,000 digits": '{"img": "x", "n": ' + "1" * 5000 + "}",
    "2,000 brackets": "[" * 2000 + "]" * 2000,
}


@pytest.mark.parametrize("chunk", [7, 1 << 22])
@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_entry_costs_itself(name, chunk, monkeypatch):
    monkeypatch.setattr(json_list, "_CHUNK", chunk)
    for at in (0, 3, 6):
        for between in (", ", ",\n"):
            texts = [json.dumps(value) for value in GOOD]
            texts.insert(at, BROKEN[name])
            data = ("[" + between.join(texts) + "]").encode()
            problems: list[str] = []
            found = list(json_records(io.BytesIO(data), 0, problems))
            assert [r.value for r in found] == [*GOOD[:at], None, *GOOD[at:]]
            assert found[at].error == "malformed_json"
            assert data[found[at].offset :][: found[at].length].decode() == BROKEN[name]
            assert problems == []
            end = found[at].offset + found[at].length
            assert [r.value for r in json_records(io.BytesIO(data), end)] == GOOD[at:]


@pytest.mark.parametrize("second", BROKEN)
def test_two_broken_entries_cost_no_other(second):
    for first in BROKEN.values():
        texts = [json.dumps(value) for value in GOOD]
        texts[2:2] = [first, BROKEN[second]]
        found = list(json_records(io.BytesIO(("[" + ",\n".join(texts) + "]").encode())))
        assert [r.value for r in found if not r.error] == GOOD


def test_what_lies_behind_the_end_of_a_list_is_said():
    problems: list[str] = []
    found = list(json_records(io.BytesIO(b'[{"a": 1}], {"a": 2}]'), 0, problems))
    assert [r.value for r in found] == [{"a": 1}, {"a": 2}]
    assert len(problems) == 1
    list(json_records(io.BytesIO(b"[1]\n[2]"), 0, problems))
    assert problems[1] == "the list ends at byte 4, before the end of the file"


def test_nan_is_a_value():
    (record,) = json_records(io.BytesIO(b'[{"caption": NaN}]'))
    assert record.value["caption"] != record.value["caption"]


LINES = b'{"a": 1}\n{"a": \n\n{"a": 3}\n'


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b'[{"a": 1}, 2]', [{"a": 1}, 2]),
        (b'\xef\xbb\xbf  [{"a": 1}\n]', [{"a": 1}]),
        (b'\n{"a": 1}\r\n{"a": 2}\r\n', [{"a": 1}, {"a": 2}]),
        (b'\xef\xbb\xbf{"a": 1}', [{"a": 1}]),
        (b'{"a": 1}\n{"a": "\\("}\n{"a": 3}', [{"a": 1}, None, {"a": 3}]),
    ],
)
def test_lists_and_lines_are_told_by_what_they_hold(data, expected):
    assert [r.value for r in json_table(io.BytesIO(data), columns=["a"])] == expected


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", "an empty file"),
        (b'{"data": [{"a": 1}]}', 'begins with "data"'),
        (b'{\n "data": [\n  {"a": 1}\n ]\n}', 'begins with "data"'),
        (b"a,b\n1,2\n", "text that begins with 'a,b"),
    ],
)
def test_other_files_are_said_to_be_what_they_are(data, found):
    with pytest.raises(NotAList, match=found):
        list(json_table(io.BytesIO(data), columns=["a"]))


def test_depth_is_refused_whoever_asks():
    assert load_json("[" * MAX_DEPTH + "]" * MAX_DEPTH)
    assert load_json(json.dumps({"a": "[{" * 200}))
    with pytest.raises(ValueError, match="nested"):
        load_json('{"a": ' * (MAX_DEPTH + 1) + "1" + "}" * (MAX_DEPTH + 1))


FLAT = ("a raw tab", "an escape of LaTeX", "a lone comma", "no comma", "an open string",
        "an open object", "quotes within", "a quote within", "Python's None")  # fmt: skip


@pytest.mark.parametrize("name", FLAT)
def test_a_broken_member_costs_itself(name):
    for at in (0, 3, 5):
        texts = [json.dumps(value) for value in GOOD]
        texts.insert(at, BROKEN[name])
        text = "{" + ",\n".join(f'"{i}": {t}' for i, t in enumerate(texts)) + "}"
        problems: list[str] = []
        expected = [*GOOD[:at], None, *GOOD[at:]]
        assert json_members(text, problems) == [(str(i), v) for i, v in enumerate(expected)]
        assert problems == []


@pytest.mark.parametrize("cut", ['{"0": {"a": 1}', '{"0": {"a": 1}, "1": {"a', '{"0": {"a": 1}, 1'])
def test_members_of_an_object_that_is_cut(cut):
    problems: list[str] = []
    assert json_members(cut, problems)[:1] == [("0", {"a": 1})]
    assert len(problems) == 1


@pytest.mark.parametrize("text", ["", "[]", "a,b"])
def test_members_of_what_is_no_object(text):
    with pytest.raises(NotAList):
        json_members(text, [])
