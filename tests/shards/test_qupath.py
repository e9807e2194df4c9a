"""Regions of all pictures of a slide lie where their pictures do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from miner.core.errors import Refused
from shards.export.folder import Sample
from shards.export.options import Options
from shards.export.qupath import file_name
from shards.export.run import export
from tests.shards.build import sample


def on_slide(i: int, slide: str, x: int, y: int, level: int = 0) -> Sample:
    value, image, extension = sample(i)
    place = {"id": slide, "x": x, "y": y, "level": level, "mpp": 0.5}
    return Sample({**value, "slide": place}, image, extension, "train")


def corners(feature: dict[str, Any]) -> list[tuple[float, float]]:
    shape = feature["geometry"]
    parts = [shape["coordinates"]] if shape["type"] == "Polygon" else shape["coordinates"]
    return [(x, y) for part in parts for ring in part for x, y in ring]


def features(file: Path) -> list[dict[str, Any]]:
    return json.loads(file.read_text())["features"]


def test_a_slide_has_the_regions_of_all_its_pictures(tmp_path: Path) -> None:
    source = [
        on_slide(0, "s", 1000, 2000),
        on_slide(0, "s", 1000, 2000),  # a second caption of the picture
        on_slide(1, "s", 5000, 0),
        on_slide(2, "../t", 7, 7),
        on_slide(3, "s", 0, 0, level=2),
        Sample(*sample(4), "train"),
    ]
    done = export(source, "qupath", tmp_path / "x", Options())
    assert {p.name for p in (tmp_path / "x/slides").iterdir()} == {
        "s.geojson", f"{file_name('../t')}.geojson",
    }  # fmt: skip
    assert any("QuPath crops" in note for note in done.notes)
    assert "changed: slides/: how much level 2 is scaled down is not known" in done.losses
    found = features(tmp_path / "x/slides/s.geojson")
    first = features(tmp_path / f"x/train/{source[0].key}.geojson")
    assert len(found) == len(first) + len(features(tmp_path / f"x/train/{source[2].key}.geojson"))
    for here, there in zip(found, first, strict=False):
        assert corners(here) == [(x + 1000, y + 2000) for x, y in corners(there)]
        assert here["properties"]["metadata"] == {"sample": source[0].key}
    kinds = {
        f["properties"]["classification"]["name"]: f["properties"]["objectType"] for f in found
    }
    assert kinds == {"gland": "detection", "stroma": "annotation"}
    assert (
        found[0]["properties"]["measurements"]["score"]
        == first[0]["properties"]["measurements"]["score"]
    )


def test_bounds_of_the_slide_are_taken_off(tmp_path: Path, monkeypatch: Any) -> None:
    openslide = pytest.importorskip("openslide")

    class Slide:
        properties = {"openslide.bounds-x": "900", "openslide.bounds-y": "1500"}  # noqa: RUF012

        def __init__(self, path: str):
            assert path.endswith("s.svs")

        def __enter__(self) -> Slide:
            return self

        def __exit__(self, *error: object) -> None:
            pass

    monkeypatch.setattr(openslide, "OpenSlide", Slide)
    (tmp_path / "slides").mkdir()
    (tmp_path / "slides/s.svs").touch()
    options = Options(slides=str(tmp_path / "slides"))
    one = on_slide(0, "s", 1000, 2000)
    assert export([one], "qupath", tmp_path / "x", options).notes == []
    (found, *_), (first, *_) = (
        features(tmp_path / "x" / name) for name in ("slides/s.geojson", f"train/{one.key}.geojson")
    )
    assert corners(found) == [(x + 100, y + 500) for x, y in corners(first)]
    with pytest.raises(Refused, match="no slide other"):
        export([on_slide(0, "other", 0, 0)], "qupath", tmp_path / "y", options)
    with pytest.raises(Refused, match="no such folder"):
        export([one], "qupath", tmp_path / "z", Options(slides="nowhere"))
