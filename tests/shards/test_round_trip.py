"""Each dialect, read back by its consumer's rules, gives the source's phrases and pixels."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings

from miner.core.built_in import BUILT_IN
from shards.export.boxed import MAX_ASPECT, qwen_size
from shards.export.folder import Sample
from shards.export.options import Options
from shards.export.run import export
from tests.shards import consumers
from tests.shards.build import sample
from tests.shards.read_back import read_back
from tests.shards.strategies import samples


@pytest.mark.parametrize("dialect", BUILT_IN["exporters"])
@settings(max_examples=25, deadline=None, database=None, derandomize=True)
@given(one=samples())
def test_what_consumers_see_is_what_was_meant(dialect: str, one: Sample) -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = read_back(dialect, [one], Path(folder) / dialect)
    assert not found.wrong


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
