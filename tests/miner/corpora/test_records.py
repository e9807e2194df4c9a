import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from miner.corpora import records
from miner.corpora.records import csv_header, csv_records


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
    lines = [b'1,"open\n', *[b"2,whole row\n"] * 20]
    found = list(csv_records(io.BytesIO(b"".join(lines))))
    assert found[0].error == "unterminated_quote"
    assert [r.value for r in found[1:]] == [["2", "whole row"]] * 20


def test_csv_keeps_nul_bytes_and_bad_utf8_apart():
    found = list(csv_records(io.BytesIO(b"a\x00b,1\n\xff\xfe,2\n")))
    assert found[0].value == ["a\x00b", "1"]
    assert found[1].value == ["\udcff\udcfe", "2"]


WHOLE = [["3.jpg", "Fat, and vessels."], ["4.jpg", 'Nuclei 5" apart.'], ["5.jpg", "Two\nlines."]]
MALFORMED = {
    "never closed": ('2.jpg,"Owl eye inclusions.', "unterminated_quote"),
    "closed in the cell": ('2.jpg,"Orphan Annie" nuclei.', "malformed_csv"),
    "in the first cell": ('"2.jpg,Stroma.', "unterminated_quote"),
    "a blank before the comma": ('"2.jpg" ,Stroma.', "malformed_csv"),
    "an odd number": ('2.jpg,""" Stroma.', "unterminated_quote"),
}


@pytest.mark.parametrize("name", MALFORMED)
@pytest.mark.parametrize("at", [0, 2, 3])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_a_malformed_csv_record_costs_itself(name, at, ending):
    line, error = MALFORMED[name]
    text = write_csv(WHOLE[:at], ending).decode() + line + ending
    data = text.encode() + write_csv(WHOLE[at:], ending)
    found = list(csv_records(io.BytesIO(data)))
    assert [r.value for r in found] == [*WHOLE[:at], None, *WHOLE[at:]]
    bad = found[at]
    piece = data[bad.offset : bad.offset + bad.length]
    assert piece.decode() == line + ending
    assert next(csv_records(io.BytesIO(piece))).error == error
    for after, record in enumerate(found, start=1):
        rest = csv_records(io.BytesIO(data), record.offset + record.length)
        assert [r.value for r in rest] == [r.value for r in found[after:]]


@pytest.mark.parametrize(
    "caption",
    ['"Orphan Annie" nuclei.', '"Owl eye inclusions.', 'Nuclei 5" apart.', '"', '""', 'a "b" c"'],
)
def test_between_tabs_a_quotation_mark_is_a_character(caption):
    lines = ["0.jpg\tGlands.", f"1.jpg\t{caption}", f"{caption}\tStroma.", "3.jpg\tFat."]
    found = csv_records(io.BytesIO("\r\n".join(lines).encode()), 0, "\t")
    assert [r.value for r in found] == [line.split("\t") for line in lines]


def test_a_line_without_end_is_read_in_pieces(monkeypatch):
    monkeypatch.setattr(records, "MAX_RECORD_BYTES", 50)
    data = b"1,a\n" + b"x" * 120 + b"\n2,b\n"
    found = list(csv_records(io.BytesIO(data)))
    assert sum(r.length for r in found) == len(data)
    assert [found[0].value, found[-1].value] == [["1", "a"], ["2", "b"]]
