"""A slice of `make fuzz`: every boundary, some inputs, in this process."""

from __future__ import annotations

import json
import random

import pytest

from tests.fuzz.boundaries import BOUNDARIES, one
from tests.fuzz.harness import attempt
from tests.fuzz.mutate import damaged, warped

# So many inputs take one to three seconds each boundary.
SLICE = {
    "answers": 300, "configurations": 60, "fingerprints": 20, "inspected": 12,
    "judged": 200, "maskfiles": 40, "masks": 120, "pictures": 120, "readers": 15, "rows": 25,
}  # fmt: skip
LOADED = {"captions": 25, "models": 8, "runs": 6, "stages": 6}
SLOW = {"state": 20}


@pytest.mark.parametrize("name", SLICE)
def test_hostile_input_ends_as_it_should(tmp_path, name):
    _try(tmp_path, name, SLICE[name])


@pytest.mark.whole
@pytest.mark.parametrize("name", LOADED)
def test_hostile_input_ends_as_it_should_where_models_load(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    _try(tmp_path, name, LOADED[name])


@pytest.mark.slow
@pytest.mark.whole
@pytest.mark.parametrize("name", SLOW)
def test_hostile_input_ends_as_it_should_where_a_run_is_made(tmp_path, name):
    _try(tmp_path, name, SLOW[name])


def _try(folder, name, count):
    boundary = BOUNDARIES[name](folder)
    faults = {seed: fault for seed in range(count) if (fault := one(boundary, name, seed))}
    assert not faults


def test_every_boundary_has_its_slice():
    assert SLICE.keys() | LOADED.keys() | SLOW.keys() == BOUNDARIES.keys()


def test_damage_is_felt_and_the_same_for_the_same_seed():
    data, value = bytes(range(256)) * 4, {"a": [1, {"b": "text"}], "c": None}
    broken = [damaged(data, random.Random(seed)) for seed in range(200)]
    assert sum(one == data for one in broken) < 20
    assert broken == [damaged(data, random.Random(seed)) for seed in range(200)]
    odd = [json.dumps(warped(value, random.Random(seed))) for seed in range(200)]
    assert len(set(odd)) > 100
    assert value == {"a": [1, {"b": "text"}], "c": None}


@pytest.mark.slow
@pytest.mark.whole
def test_what_dies_hangs_or_takes_memory_is_found_and_the_next_input_tried(monkeypatch, tmp_path):
    """The harness with a boundary of its own, which does what no boundary may."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\n"
        "if 'tests.fuzz.worker' in sys.orig_argv:\n"
        "    import tests.fuzz.boundaries as b\n"
        "    class Bad:\n"
        "        def __init__(self, folder): pass\n"
        "        def __call__(self, rng):\n"
        "            self.n = getattr(self, 'n', int(sys.orig_argv[-4]) - 1) + 1\n"
        "            if self.n == 1: os.abort()\n"
        "            while self.n == 2: pass\n"
        "            if self.n == 3: bytearray(300 << 20)\n"
        "            if self.n == 4: raise KeyError('x')\n"
        "    b.BOUNDARIES['bad'] = Bad\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    tried = attempt("bad", 0, 6, limit_s=0.5, limit_mb=200)
    assert tried.good == 2
    said = [tried.bad[n].split()[0] for n in (1, 2, 3, 4)]
    assert said == ["died", "more", "took", "KeyError"]
