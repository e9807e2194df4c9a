import os
from pathlib import Path

import pytest
from rich.console import Console

from miner.core.errors import Refused
from miner.core.layout import RUN
from miner.core.store import Store
from miner.report.gather import runtime
from miner.report.show import find
from miner.report.summary import print_status


def test_a_run_without_verdicts_is_not_finished_yet(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write_json(RUN, {})
    with pytest.raises(Refused, match="not finished yet"):
        find(store, "a.png")


def test_a_run_whose_units_are_all_done_says_what_is_left(tmp_path):
    store = Store(tmp_path)
    tables = {
        name: {"rows": 10, "bytes": 1, "sha256": ""} for name in ("samples", "images", "candidates")
    }
    said = {"unit_id": "c-000000", "tables": tables, "counts": {}, "missing": {}, "masks": 3}
    store.write_json("units/c-000000.json", said)
    for captions, said in ((10, "all units are done; run again"), (20, "not finished; run again")):
        with (console := Console(width=120)).capture() as capture:
            print_status(store, captions, console)
        assert f"10 of {captions} captions in 1 unit; 3 masks drawn" in capture.get()
        assert said in capture.get()


def test_time_is_that_between_the_first_and_the_last_unit(tmp_path):
    store = Store(tmp_path)
    for number, at in enumerate((1000.0, 1004.0, 1010.0)):
        store.write_json(f"units/c-{number:06d}.json", {})
        os.utime(tmp_path / f"units/c-{number:06d}.json", (at, at))
    assert runtime(store, 30) == [
        ("units", "3"),
        ("between the first and the last unit's commit", "10 s"),
        ("captions per second, about", "2.0"),
    ]
