"""Where the time went, which stage is the bottleneck, and a line of JSON a unit."""

import dataclasses
import io
import json

import pytest

from miner.load_config import check_config
from miner.progress import Lines, Log
from miner.run import _mostly_unreadable
from miner.timing import Times
from miner.work import MinedUnit

SECONDS = {"read": 1.0, "extract": 1.0, "segment": 40.0, "score": 20.0, "embed": 1.0, "commit": 1.0}


def mined(number):
    tables = {"samples": {"rows": 10, "bytes": 1, "sha256": ""}}
    mark = {"unit_id": f"c-{number:06d}", "tables": tables, "masks": 7}
    return MinedUnit(mark, {"asked": 8, "no_entity": 2}, SECONDS)


def lines(**runner):
    config = check_config({"corpora": [{"kind": "pairs", "path": "x"}], "runner": runner}, "test")
    times = Times()
    for number in range(4):
        times.add(mined(number))
    return times.lines(config)


def test_shares_of_the_stages():
    (line,) = lines()
    assert line == (
        "256 s of work for 40 captions: read 2%, extract 2%, segment 62%, score 31%, embed 2%, "
        "commit 2%"
    )


@pytest.mark.parametrize(
    ("own", "said"),
    [
        # 160 s of segment; 8 s before it, 88 s after it
        ({"segment": {"num_gpus": 1}}, "segment takes longest: 1 of extract and 5 of score, embed "
         "keep up with 8 actors of it"),
        ({"segment": {"num_gpus": 1, "workers": 2}}, "segment takes longest: 1 of extract and 2 of "
         "score, embed keep up with 2 actors of it"),
        ({"segment": {"num_gpus": 1, "workers": 40}}, "score, embed takes longest: 1 of extract "
         "and 15 of segment keep up with 8 actors of it"),
    ],
)  # fmt: skip
def test_the_bottleneck_and_what_balances_it(own, said):
    assert lines(resources=own)[1] == said


def test_nothing_is_said_where_nothing_was_done():
    config = check_config({"corpora": [{"kind": "pairs", "path": "x"}]}, "test")
    assert Times().lines(config) == []


def test_a_line_of_json_a_unit():
    file = io.StringIO()
    log = Log(Lines(), file)
    log.start(3, 30, 0, 0)
    log.unit(mined(0))
    log.unit(mined(1))
    first, second = (json.loads(line) for line in file.getvalue().splitlines())
    assert second["unit"] == "c-000001"
    assert first["status"] == {"asked": 8, "no_entity": 2}
    assert first["seconds"]["segment"] == 40.0
    assert first.keys() == {"time", "unit", "rows", "status", "masks", "seconds"}


def test_what_is_left_follows_from_the_rate(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr("miner.progress.time.monotonic", lambda: now[0])
    lines = Lines()
    lines.start(6, 60, 0, 0)
    now[0] = 5.0
    lines.unit(mined(0))
    assert "10 captions, 2.0/s, 25 s left, 7 masks drawn" in capsys.readouterr().err


@pytest.mark.parametrize(("bad", "warns"), [(6, True), (5, False), (0, False)])
def test_a_corpus_whose_first_rows_mostly_cannot_be_read_is_told(bad, warns):
    config = check_config({"corpora": [{"kind": "pairs", "path": "x", "name": "c"}]}, "test")
    unit = dataclasses.replace(mined(0), status={"unreadable": bad, "asked": 10 - bad})
    said = _mostly_unreadable(unit, config)
    assert bool(said) == warns
    if said:
        assert said == (
            "warning: c: 6 of its first 10 rows cannot be read; miner inspect x says more"
        )


def test_pictures_outside_of_their_corpus_are_told_with_the_setting():
    config = check_config({"corpora": [{"kind": "hf", "path": "x", "name": "c"}]}, "test")
    unit = dataclasses.replace(
        mined(0), status={"unreadable": 10}, unreadable={"outside_folder": 10}
    )
    assert _mostly_unreadable(unit, config) == (
        "warning: c: 10 of its first 10 rows cannot be read; where pictures lie outside of the "
        "corpus, name their folder: --set corpora.c.image_paths=[FOLDER]"
    )
