"""Damaged tars: every sample that is whole is a row, and what is lost is said."""

import io
import random
import tarfile

import pytest

from miner.core.store import Store
from miner.corpora import webdataset
from miner.corpora.plan import make_plan
from miner.corpora.tars import Member, members
from tests.miner.corpora.layouts import config, fates, picture, read_all

PICTURES = [picture(i) for i in range(6)]
FORMATS = (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)


def tar_of(count=6, first=0, format_=tarfile.USTAR_FORMAT, long=""):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format_) as tar:
        for i in range(first, first + count):
            for suffix, data in (("jpg", PICTURES[i]), ("txt", b"Fat %d." % i)):
                info = tarfile.TarInfo(f"{long}{i}.{suffix}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def headers(data):
    return [m.begin for m in members(io.BytesIO(data), 0, None, [])]


def read(tmp_path, data, unit_rows=4):
    (tmp_path / "a.tar").write_bytes(data)
    corpus = config("webdataset", tmp_path)
    samples, _ = read_all(corpus, tmp_path / "out", unit_rows)
    problems = make_plan([corpus], unit_rows, Store(str(tmp_path / "out"))).problems
    return {s["caption"]: fate for s, fate in zip(samples, fates(samples), strict=True)}, problems


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("long", ["", "x" * 90 + "/" + "y" * 90 + "/"])
@pytest.mark.parametrize("at", [0, 1, 5, 10, 11])
def test_a_damaged_header_costs_its_member(tmp_path, format_, long, at):
    data = bytearray(tar_of(format_=format_, long=long))
    begin = headers(data)[at]
    data[begin + 110] ^= 1  # its mode
    found, problems = read(tmp_path, bytes(data))
    hurt = at // 2
    whole = {f"Fat {i}.": None for i in range(6) if i != hurt}
    assert {c: f for c, f in found.items() if c in whole} == whole
    assert len(problems) == 1
    assert f"from byte {begin} to" in problems[0] or f"from byte {begin} on" in problems[0]
    assert set(found.values()) <= {None, "unreadable:missing_image", "unreadable:missing_text"}


DAMAGE = {
    "bytes put in": lambda data, at: data[:at] + b"\1" * 700 + data[at:],
    "bytes taken out": lambda data, at: data[:at] + data[at + 300 :],
    "a zeroed header": lambda data, at: data[:at] + bytes(512) + data[at + 512 :],
    "two zeroed blocks": lambda data, at: data[:at] + bytes(1024) + data[at + 1024 :],
    "text over it": lambda data, at: data[:at] + b"x" * 512 + data[at + 512 :],
    "another tar put in": lambda data, at: data[:at] + tar_of(1, 5) + data[at:],
}


@pytest.mark.parametrize("how", DAMAGE)
@pytest.mark.parametrize("at", [0, 2, 5])
def test_whole_samples_behind_damage_are_found(tmp_path, how, at):
    data = tar_of(5)
    damaged = DAMAGE[how](data, headers(data)[2 * at] if at < 5 else data.rindex(b"Fat 4") + 512)
    found, problems = read(tmp_path, damaged)
    whole = {f"Fat {i}." for i in range(5) if i not in (at, at - 1)}
    assert whole <= {caption for caption, fate in found.items() if fate is None}
    assert problems or at == 5


@pytest.mark.parametrize("seed", range(30))
def test_fuzzed_headers_lose_nothing_without_a_word(tmp_path, seed):
    rng = random.Random(seed)
    data = bytearray(tar_of())
    hit = sorted(rng.sample(range(12), 2))
    for header in hit:
        data[headers(tar_of())[header] + rng.randrange(500)] ^= 1 << rng.randrange(8)
    found, problems = read(tmp_path, bytes(data))
    whole = {f"Fat {i}.": None for i in range(6) if i not in {h // 2 for h in hit}}
    assert {c: f for c, f in found.items() if c in whole} == whole
    assert problems or len(found) == 6


def test_tars_put_together_are_read_whole(tmp_path):
    found, problems = read(tmp_path, tar_of(3) + tar_of(3, 3))
    assert found == {f"Fat {i}.": None for i in range(6)}
    assert len(problems) == 1


def test_an_end_that_is_missing_is_said(tmp_path):
    data = tar_of(3)
    whole, said = read(tmp_path, data)
    assert (len(whole), said) == (3, [])
    end = data.rindex(b"Fat 2") + 512
    found, problems = read(tmp_path, data[:end])
    assert found == whole
    assert len(problems) == 1
    assert "was its download cut short?" in problems[0]


def test_a_member_that_is_too_large_or_sparse_has_a_reason(tmp_path, monkeypatch):
    monkeypatch.setattr(webdataset, "MAX_FILE_BYTES", len(PICTURES[0]) - 1)
    found, _ = read(tmp_path, tar_of(1))
    assert found == {"Fat 0.": "unreadable:member_too_large"}
    monkeypatch.undo()
    data = bytearray(tar_of(2))
    info = tarfile.TarInfo("0.jpg")
    info.type, info.size = tarfile.GNUTYPE_SPARSE, len(PICTURES[0])
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[386:410] = b"00000000000\0" * 2  # a stretch of data
    header[483:495] = b"77777777777\0"  # 8 GiB, says the header
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header[:512])
    data[:512] = header[:512]
    found, _ = read(tmp_path, bytes(data))
    assert found["Fat 1."] is None
    assert found["Fat 0."] == "unreadable:unsupported_compression"


def test_a_sample_of_gigabytes_fits_into_a_plan(tmp_path, monkeypatch):
    large = 3 << 30
    found = [
        Member(f"{i}.jpg", i * large, i * large + 512, 1, (i + 1) * large, False) for i in (0, 1)
    ]
    monkeypatch.setattr(webdataset, "members", lambda *_: iter(found))
    (tmp_path / "a.tar").write_bytes(tar_of(1))
    plan = make_plan([config("webdataset", tmp_path)], 4, Store(str(tmp_path / "out")))
    assert plan.rows == {"webdataset": 2}
