import csv
import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from miner.corpora import records
from miner.corpora.records import NotAList, csv_header, csv_records, json_records, jsonl_records


def write_csv(rows: list[list[str]], terminator: str = "\r\n") -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator=terminator).writerows(rows)
    return text.getvalue().encode("utf-8", "surrogateescape")


cells = st.text(st.characters(codec="utf-8"), max_size=12)
tables = st.lists(st.lists(cells, min_size=2, max_size=3), min_size=1, max_size=8)


@settings(max_examples=40, deadline=None)
@given(tables, st.sampled_from(["\r\n", "\n"]))
def test_csv_ranges_parse_to_the_same_cells(rows, terminator):
    data = write_csv(rows, terminator)
    found = list(csv_records(io.BytesIO(data)))
    text = io.TextIOWrapper(io.BytesIO(data), "utf-8", newline="")
    assert [r.value for r in found] == [row for row in csv.reader(text) if row]
    for record in found:
        piece = data[record.offset : record.offset + record.length]
        assert next(csv_records(io.BytesIO(piece))).value == record.value
        assert next(csv_records(io.BytesIO(data), record.offset)).value == record.value
    ends = [0, *(r.offset + r.length for r in found)]
    for end, record in zip(ends, found, strict=False):
        assert data[end : record.offset].strip(b"\r\n") == b""  # only blank lines between


def test_csv_header_skips_a_bom():
    names, start = csv_header(io.BytesIO(b"\xef\xbb\xbfcaption,image\nx,y\n"))
    assert names == ["caption", "image"]
    assert start == 17


def test_csv_counts_lines_ended_by_carriage_returns_as_others_do():
    data = b"a,b\rc,d\r\ne,f\n"
    expected = list(csv.reader(io.TextIOWrapper(io.BytesIO(data), newline="")))
    found = list(csv_records(io.BytesIO(data)))
    assert [r.value for r in found] == expected
    assert [data[r.offset : r.offset + r.length] for r in found] == [b"a,b\r", b"c,d\r\n", b"e,f\n"]


def test_csv_quote_never_closed_costs_one_record(monkeypatch):
    monkeypatch.setattr(records, "MAX_RECORD_BYTES", 100)
    lines = [b'1,"open\n', *[b"2,swallowed row\n"] * 8, *[b"3,whole row\n"] * 3]
    found = list(csv_records(io.BytesIO(b"".join(lines))))
    assert found[0].error == "unterminated_quote"
    assert [r.value for r in found[-3:]] == [["3", "whole row"]] * 3


def test_csv_keeps_nul_bytes_and_bad_utf8_apart():
    found = list(csv_records(io.BytesIO(b"a\x00b,1\n\xff\xfe,2\n")))
    assert found[0].value == ["a\x00b", "1"]
    assert found[1].value == ["\udcff\udcfe", "2"]


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
        patch.setattr(records, "_CHUNK", chunk)
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
