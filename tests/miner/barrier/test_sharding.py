"""Which pictures go depends on no order and no parts, nor on who does the work."""

from __future__ import annotations

import shutil
from concurrent.futures import ProcessPoolExecutor
from itertools import count, pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.config import DedupeConfig
from miner.barrier import parts as parts_module
from miner.barrier.compare import Shown, compared
from miner.barrier.finish import finish
from miner.barrier.near import Sought, index, near
from miner.barrier.outcomes import Pictures
from miner.barrier.pieces import Piece, Place
from miner.barrier.refilter import refilter
from miner.commits import commit, marks
from miner.core.layout import RUN
from miner.core.store import Store
from miner.crew import Crew
from tests.filters.test_dedupe import MIXED_HASHES, MIXED_RANKS, MIXED_THUMBS
from tests.miner.barrier.test_steps import everything
from tests.miner.finished import configuration, unit
from tests.miner.report.test_dupes import with_thumbnails

N = len(MIXED_THUMBS)
IDS = [f"c/{i:02d}" for i in range(N)]
VECTORS = np.random.default_rng(5).normal(size=(N, 32)).astype(np.float16)
VECTORS[5] = VECTORS[4]  # laid out alike, and another field: no duplicate
numbers = count()


def duplicates_in(pieces: list[list[int]], tasks: int):
    """Duplicates among the pictures, which lie in parts and are looked up in some tasks."""
    place = Place(Store(f"memory://sharding{next(numbers)}"), "x")
    names, thumbs, vectors = [], [], []
    for i, rows in enumerate(pieces):
        columns = {
            name: [values[row] for row in rows]
            for name, values in (
                ("image_id", IDS),
                ("sha256", MIXED_HASHES),
                ("pixel_hash", MIXED_HASHES),
            )
        }
        table = pa.table({name: pa.array(v, pa.string()) for name, v in columns.items()})
        shown = Pictures(table, MIXED_THUMBS[rows], VECTORS[rows], {})
        names.append(place.write(shown.table(), f"pictures{i}"))
        thumbs.append(place.write_bytes(shown.thumbs.tobytes(), f"thumbs{i}"))
        vectors.append(place.write_bytes(shown.vectors.tobytes(), f"vectors{i}"))
    built = index(place, names)
    found = [
        near(
            Place(place.store, f"near{first}"),
            Sought(
                range(first, min(first + tasks, len(pieces))),
                Piece(*built["index"]),
                built["starts"],
                thumbs,
            ),
        )
        for first in range(0, len(pieces), tasks)
    ]
    order = [row for rows in pieces for row in rows]
    return compared(
        place.store,
        DedupeConfig(),
        Shown(names, thumbs, vectors, [VECTORS.shape[1]] * len(pieces)),
        found,
        [IDS[row] for row in order],
        np.array([MIXED_RANKS[row] for row in order]),
    )


PLAIN = duplicates_in([list(range(N))], 1)


@settings(max_examples=100, deadline=None)
@given(st.permutations(range(N)), st.sets(st.integers(0, N)), st.integers(1, 4))
def test_order_parts_and_tasks_do_not_matter(order, cuts, tasks):
    ends = sorted({0, N, *cuts})
    pieces = [list(order[a:b]) for a, b in pairwise(ends)]
    assert duplicates_in(pieces, tasks) == PLAIN
    assert len(PLAIN) == 5


def overlapping(folder: Path) -> Store:
    """Units in four parts, of two corpora with pictures in common."""
    store, config = Store(folder), configuration()
    for seed in (1, 2):
        for corpus in ("quilt", "pathcap"):  # equal pictures: the seed is that of both
            made = with_thumbnails(unit(np.random.default_rng(seed), corpus))
            renamed = {
                name: pa.array([f"{v}.{seed}" for v in made.samples[name].to_pylist()])
                for name in ("sample_id", "image", "image_id", "group")
            }
            images = [f"{v}.{seed}" for v in made.images["image_id"].to_pylist()]
            asked = [f"{v}.{seed}" for v in made.candidates["image_id"].to_pylist()]
            made = (
                made.with_columns("samples", renamed)
                .with_columns("images", {"image_id": pa.array(images)})
                .with_columns("candidates", {"image_id": pa.array(asked)})
            )
            keys = [f"{v[:-2]}-{seed}" for v in made.samples["sample_id"].to_pylist()]
            made = made.with_columns("samples", {"sample_id": pa.array(keys)})
            commit(store, f"{corpus}-{seed:06d}", made, run="r")
    run = {"config": config.model_dump(mode="json"), "hash": config.digest(), "seed": 0, "run": "r"}
    store.write_json(RUN, {**run, "rows": {}, "versions": {}})
    return store


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(parts_module, "ROWS", 1)


def no_report(store: Store) -> None:
    """The report has tests of its own."""


def copied(store: Store, folder: Path) -> Store:
    return Store(shutil.copytree(store.url, folder))


@pytest.mark.whole
def test_two_processes_give_the_bytes_of_one(small_parts, tmp_path):
    one = overlapping(tmp_path / "one")
    two = copied(one, tmp_path / "two")
    finish(one, configuration(), marks(one))
    with ProcessPoolExecutor(2) as pool:
        finish(two, configuration(), marks(two), pool.map)
    assert everything(two) == everything(one)
    rows = [r for n in one.names("ledger/samples") for r in one.read_table(n).to_pylist()]
    assert {r["duplicate_of"].split("/")[0] for r in rows if r["status"] == "duplicate"}


@pytest.mark.slow
def test_barrier_and_refilter_on_ray_give_the_bytes_of_one_process(
    small_parts, tmp_path, monkeypatch
):
    monkeypatch.setattr("miner.crew.FEW", 1)
    one = overlapping(tmp_path / "one")
    two = copied(one, tmp_path / "two")
    finish(one, configuration(), marks(one))
    with Crew(configuration(), True, print) as crew:
        finish(two, configuration(), marks(two), crew.spread)
    assert everything(two) == everything(one)
    for store, use_ray in ((one, False), (two, True)):
        refilter(store.url, ["filters.at_least={ks_rim: 0.7}"], no_report, use_ray)
    assert everything(two) == everything(one)
