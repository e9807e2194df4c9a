"""What is said of all that there is follows from scores, and is null where it was not measured."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from filters.completeness import add_extent, interval_of, present
from filters.config import FilterConfig
from filters.decide import decide
from filters.extent import FOUND_NOTHING, load_extent, to_json
from filters.scores import EXTENT, SCORES
from miner.core.errors import Refused
from miner.core.unit import CANDIDATES


def table(*rows: dict) -> pa.Table:
    usual = {
        "image_id": "a", "kind": "object", "roles": ["positive"], "segmenter": "embedded",
        "area_px": 400, "confidence": 0.9,
    }  # fmt: skip
    full = [{**usual, **row} for row in rows]
    found = pa.Table.from_pylist(full, CANDIDATES)
    for name in SCORES:
        values = [row.get(name) for row in full]
        found = found.append_column(name, pa.array(values, pa.float64()))
    return add_extent(decide(found, FilterConfig()), FilterConfig())


def test_columns_are_those_that_are_documented() -> None:
    added = table({"concept": "nucleus"})
    assert set(EXTENT) <= set(added.column_names)
    assert added.schema.field("presence").metadata[b"description"].startswith(b"probability")


def test_what_nobody_answered_has_no_presence() -> None:
    rows = table(
        {"concept": "gland", "area_px": 0, "reason": "unsupported"},
        {"concept": "nucleus", "area_px": 0, "reason": "empty"},
    ).to_pylist()
    assert rows[0]["presence"] is None
    assert 0 < rows[1]["presence"] < 0.5
    assert {rows[1][name] for name in ("exhaustive", "exhaustive_why", "count_low")} == {None}


def test_an_unseen_segmenter_and_an_unlabelled_concept_say_why() -> None:
    rows = table(
        {"concept": "nucleus", "segmenter": "someone", "geometry_objects": 9.0},
        {"concept": "megakaryocyte", "geometry_objects": 9.0},
        {"concept": "stroma", "kind": "stuff", "geometry_objects": 1.0},
    ).to_pylist()
    assert (rows[0]["exhaustive"], rows[0]["exhaustive_why"]) == (None, "unseen_segmenter")
    assert (rows[0]["count_low"], rows[0]["count_why"]) == (None, "unseen_segmenter")
    assert (rows[1]["exhaustive"], rows[1]["exhaustive_why"]) == (None, "no_labelled_data")
    assert rows[1]["count_why"] in ("no_labelled_data", "more_likely_wrong")
    assert rows[2]["count_why"] == "not_told_apart"


def test_presence_is_told_only_of_what_was_measured_with_this_segmenter() -> None:
    rows = table(
        {"concept": "nucleus", "area_px": 0, "reason": "empty"},
        {"concept": "nucleus", "area_px": 0, "reason": "empty", "segmenter": "someone"},
        {"concept": "thyroid follicle", "area_px": 0, "reason": "empty", "asked_as": "gland"},
        {"concept": "nucleus", "area_px": 0, "reason": "empty", "segmenter": "expert",
         "roles": ["decoy", "trusted", "complete"]},
    ).to_pylist()  # fmt: skip
    assert 0 < rows[0]["presence"] < 0.2
    assert [row["presence"] for row in rows[1:]] == [None, None, 0.0]


def test_presence_rises_with_the_score() -> None:
    extent = load_extent()
    for one in extent.presence.values():
        assert one.x[0] >= FOUND_NOTHING
        assert (np.diff(one.x) > 0).all()
        assert (np.diff(one.y) >= 0).all()
        assert 0 < one.y.min() <= one.y.max() < 1
    assert present.__doc__


def test_an_interval_holds_what_was_found() -> None:
    found = np.array([10.0, 10.0, 1.0])
    low, high = interval_of(found, np.log([0.5, 1.2, 0.2]), np.log([1.5, 1.5, 1.0]))
    # (10.5 x .5) - .5 = 4.75 -> 5; 10.5 x 1.5 - .5 = 15.25 -> 15; below 10 never more than 10.
    assert low.tolist() == [5, 10, 0]
    assert high.tolist() == [15, 15, 1]


def test_the_file_survives_writing_and_refuses_damage(tmp_path) -> None:
    import json

    extent = load_extent()
    file = tmp_path / "extent.json"
    file.write_text(json.dumps(to_json(extent)))
    again = load_extent(file)
    assert to_json(again) == to_json(extent)
    file.write_text(json.dumps({**to_json(extent), "counts": 3}))
    with pytest.raises(Refused, match=r"filters.extent: .*extent.json is damaged"):
        load_extent(file)
    file.write_text(json.dumps({**to_json(extent), "version": 9}))
    with pytest.raises(Refused, match=r"has version 9.*filters.calibration.fit_extent"):
        load_extent(file)
