"""Each dialect, read back by its consumer's rules, gives the source's phrases and pixels."""

from __future__ import annotations

import itertools
import json
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from segmenters.regions import decode
from shards.export.boxed import MAX_ASPECT, qwen_size, square_box
from shards.export.folder import Sample
from shards.export.masks import boxes
from shards.export.options import Options
from shards.export.phrases import Phrase, phrases
from shards.export.run import export
from tests.shards import consumers
from tests.shards.build import sample
from tests.shards.strategies import HEIGHT, WIDTH, samples

READERS: dict[str, Callable[[Path], Iterable[consumers.Seen]]] = {
    "granDf": lambda out: _each(
        out, "GranDf/annotations/train/GranDf_HA_GCG_train.json", consumers.grandf
    ),
    "sa2va-gcg": lambda out: _each(
        out, "annotations/GranDf_HA_GCG_train-*.json", consumers.grandf_columns
    ),
    "xsam": lambda out: _each(out, "annotations/GranDf_HA_GCG_train.json", consumers.xsam),
    "sa2va": lambda out: _each(out, "train/annotations.json", consumers.sa2va),
    "refcoco": consumers.refcoco,
    "muse": lambda out: _each(out, "muse_train.json", consumers.muse),
}
SOME = settings(max_examples=25, deadline=None, database=None, derandomize=True)


def _each(out: Path, pattern: str, reader: Callable) -> Iterable[consumers.Seen]:
    for path in sorted(out.glob(pattern)):
        yield from reader(path)


def _exported(one: Sample, dialect: str, out: str) -> tuple[Path, list[dict]]:
    path = Path(out) / dialect
    export([one], dialect, path, Options())
    lines = (path / "LOSSES.jsonl").read_text().splitlines()
    return path, [json.loads(line) for line in lines]


def _is_lost(p: Phrase, losses: list[dict]) -> bool:
    whole = any(x["phrase"] is None and x["done"] == "dropped" for x in losses)
    return whole or any(x["phrase"] == p.text for x in losses)


def _mask(p: Phrase) -> np.ndarray:
    return decode(p.region["rle"]["counts"], *p.region["rle"]["size"])


def _same_words(seen: str, p: Phrase) -> bool:
    """Equal but for what the consumer itself does: case, outer quotes, spaces, a full stop."""
    return seen != "" and seen.casefold() in p.text.casefold()


@pytest.mark.parametrize("dialect", READERS)
@SOME
@given(one=samples())
def test_masks_survive(dialect: str, one: Sample) -> None:
    with tempfile.TemporaryDirectory() as folder:
        out, losses = _exported(one, dialect, folder)
        seen = list(READERS[dialect](out))
    source = phrases(one.value)
    for key, text, mask in seen:
        assert key == one.key
        assert any(_same_words(text, p) and np.array_equal(mask, _mask(p)) for p in source)
    for p in source:
        found = any(_same_words(text, p) and np.array_equal(m, _mask(p)) for _, text, m in seen)
        assert found or _is_lost(p, losses)
    if not source:
        assert losses


@SOME
@given(one=samples())
def test_kosmos2_boxes(one: Sample) -> None:
    with tempfile.TemporaryDirectory() as folder:
        out, losses = _exported(one, "kosmos2", folder)
        seen = list(consumers.kosmos2(out / "train"))
    source = phrases(one.value)
    scale = np.array([WIDTH, HEIGHT, WIDTH, HEIGHT])
    for p in source:
        expected = boxes(p.region, 32)[0]
        text = "".join(" " if c.isspace() and c != " " else c for c in p.text)
        found = [b for _, t, b in seen if t == text]
        fits = any(
            np.allclose(np.array(b) * scale, expected, atol=1e-9)
            for b in found
            if len(b) == len(expected)
        )
        assert fits or _is_lost(p, losses)


@pytest.mark.parametrize("dialect", ["llava", "qwen"])
@SOME
@given(one=samples())
def test_chat_boxes(dialect: str, one: Sample) -> None:
    reader = consumers.llava if dialect == "llava" else consumers.qwen
    with tempfile.TemporaryDirectory() as folder:
        out, losses = _exported(one, dialect, folder)
        files = list(out.glob("train.json"))
        seen = [s for path in files for s in reader(path)]
    for p in phrases(one.value):
        expected = boxes(p.region, 32)[0]
        found = [b for _, t, b in seen if t == p.text and len(b) == len(expected)]
        if dialect == "llava":
            wanted = np.array([square_box(b, WIDTH, HEIGHT) for b in expected])
            fits = any(np.allclose(b, wanted, atol=6e-4) for b in found)
        else:
            h, w = consumers.smart_resize(HEIGHT, WIDTH)
            wanted = np.array(expected) * [w / WIDTH, h / HEIGHT, w / WIDTH, h / HEIGHT]
            fits = any(np.allclose(b, wanted, atol=0.51) for b in found)
        assert fits or _is_lost(p, losses)


@settings(SOME, max_examples=15)
@given(one=samples())
def test_biomedparse_masks(one: Sample) -> None:
    with tempfile.TemporaryDirectory() as folder:
        out, losses = _exported(one, "biomedparse", folder)
        root = out / "BiomedSeg/Histomine"
        seen = list(consumers.biomedparse(root, "train")) if root.exists() else []
    side, top = max(HEIGHT, WIDTH), (max(HEIGHT, WIDTH) - HEIGHT) // 2
    centre = (np.arange(side) * 2 + 1) * 1024 // (2 * side)
    for p in phrases(one.value):
        found = any(
            t == p.text
            and np.array_equal(m[np.ix_(centre, centre)][top : top + HEIGHT, :WIDTH], _mask(p))
            for _, t, m in seen
        )
        assert found or _is_lost(p, losses)


@SOME
@given(one=samples())
def test_formats_for_people(one: Sample) -> None:
    with tempfile.TemporaryDirectory() as folder:
        out, _ = _exported(one, "coco", folder)
        coco = list(consumers.coco_masks(out / "annotations/instances_train.json"))
        out, _ = _exported(one, "qupath", folder)
        path = out / f"train/{one.key}.geojson"
        qupath = list(consumers.qupath(path, HEIGHT, WIDTH))
    source = [
        (r["concept"], decode(i["counts"], *i["size"]))
        for r in one.value["regions"]
        for i in r["instances"]
    ]
    assert len(source) == len(coco) == len(qupath)
    for (name, mask), (_, coco_name, coco_mask), (other, other_mask) in zip(
        source, coco, qupath, strict=True
    ):
        assert name == coco_name == other
        assert np.array_equal(mask, coco_mask)
        assert np.array_equal(mask, other_mask)


def test_qwen_size_is_the_processors(tmp_path: Path) -> None:
    sides = (1, 2, 5, 13, 14, 15, 28, 41, 200, 201, 512, 700, 1000, 3000, 4812)
    for width, height in itertools.product(sides, sides):
        size = consumers.smart_resize(height, width)
        if size is None:
            assert max(width, height) > MAX_ASPECT * min(width, height)
        else:
            assert qwen_size(width, height, Options()) == size[::-1]
    assert qwen_size(700, 500, Options(qwen_model="qwen3")) == (1000, 1000)
    value, image, format_ = sample(1, size=(4, 900))
    export([Sample(value, image, format_, "train")], "qwen", tmp_path / "x", Options())
    assert "so narrow" in (tmp_path / "x/LOSSES.jsonl").read_text()
    assert not (tmp_path / "x/train.json").exists()
