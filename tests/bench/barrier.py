"""The barrier on synthetic units: seconds of processor time a row, memory, and what workers gain.

    python -m tests.bench.barrier                     # 10^5 rows
    python -m tests.bench.barrier --rows 3000 30000   # and the exponent between sizes

Units have 64 captions of 64 pictures of noise, four candidates a picture (a decoy among them) with
scores at random and masks out of a pool; a tenth of the pictures are copies. Every step is timed
task by task in a process of its own, apart from everything that is loaded before. What two workers
gain is computed from these times: tasks of a step go to whoever is free.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa

from miner.barrier.finish import finish
from miner.commits import commit, keep_marks, marks
from miner.core.layout import FINISHED, RUN
from miner.core.masks import bbox, encode
from miner.core.store import Store
from miner.core.unit import IMAGES, IMAGES_ADDED, Unit
from miner.load_config import check_config
from miner.report import write_report
from shards.index import read_manifest
from tests.miner.finished import CANDIDATE_SCHEMA, SAMPLE_SCHEMA, SCORES

UNIT_ROWS = 64
NAMED = ("nucleus", "stroma", "gland")


def config(out: str) -> Any:
    return check_config(
        {
            "out": out,
            "corpora": [{"kind": "quilt", "path": "q"}],
            "filters": {"at_least": {"ks_rim": 0.4}},
            "shards": {"max_bytes": 32_000_000},
        },
        "bench",
    )


def write_units(store: Store, rows: int) -> None:
    rng = np.random.default_rng(0)
    pool, pictures = _masks(rng), _pictures(rng)
    for number, start in enumerate(range(0, rows, UNIT_ROWS)):
        count = min(UNIT_ROWS, rows - start)
        commit(store, f"quilt-{number:06d}", _unit(rng, start, count, pool, pictures), run="bench")
    keep_marks(store, marks(store), all_=True)
    settings = config(store.url)
    run = {"config": settings.model_dump(mode="json"), "hash": settings.digest(), "run": "bench"}
    store.write_json(RUN, {**run, "seed": 0, "rows": {"quilt": rows}, "versions": {}})


def _pictures(rng: np.random.Generator) -> list[bytes]:
    """Some pictures, of a few kilobytes; the barrier compares what is stored beside them."""
    coarse = rng.integers(0, 256, (20, 16, 16, 3)).astype(np.uint8)
    large = (cv2.resize(one, (512, 512), interpolation=cv2.INTER_CUBIC) for one in coarse)
    return [cv2.imencode(".jpg", one)[1].tobytes() for one in large]


def _masks(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Some masks of blobs with their objects."""
    found = []
    for n in range(40):
        objects = []
        for _ in range(1 + n % 20):
            y, x = rng.integers(20, 490, 2).tolist()
            r = int(rng.integers(4, 14))
            mask = np.zeros((512, 512), np.uint8)
            mask[max(0, y - r) : y + r, max(0, x - r) : x + r] = 1
            objects.append(mask)
        union = np.max(objects, axis=0)
        found.append(
            {
                "counts": encode(union),
                "instances": [encode(mask) for mask in objects],
                "bbox": bbox(union > 0),
                "area_px": int(union.sum()),
            }
        )
    return found


def _unit(
    rng: np.random.Generator,
    start: int,
    count: int,
    pool: list[dict[str, Any]],
    pictures: list[bytes],
) -> Unit:
    samples, images, candidates = [], [], []
    for row in range(start, start + count):
        image = f"{row:08d}.jpg"
        caption = f"Section {row}: " + ", ".join(NAMED) + " are seen, no necrosis."
        samples.append(
            {
                "sample_id": f"quilt-{row:08d}-00ff00", "corpus": "quilt", "row": row,
                "image": image, "image_id": f"quilt/{image}", "group": f"video{row // 20}",
                "license": "CC0", "source": "quilt", "caption": caption, "meta": "{}",
                "mentions": [
                    *(_mention(caption, name) for name in NAMED),
                    _mention(caption, "necrosis", "negated"),
                ],
                "facts": [], "notes": [],
                "strata": [
                    {"dimension": "organ", "value": ("colon", "kidney", "breast")[row % 3]},
                    {"dimension": "stain", "value": "h&e"},
                ],
            }
        )  # fmt: skip
        copied = row >= 100 and row % 10 == 0
        noise = np.random.default_rng(row - 100 if copied else row)
        vector = noise.standard_normal(512).astype(np.float32)
        coarse = noise.integers(0, 256, (8, 8)).astype(np.uint8)
        thumb = np.kron(coarse, np.ones((8, 8), np.uint8)) // 2
        thumb += noise.integers(0, 128, (64, 64)).astype(np.uint8)
        images.append(
            {
                "image_id": f"quilt/{image}", "data": pictures[row % len(pictures)],
                "format": "jpg",
                "width": 512, "height": 512, "mpp": 0.5, "mpp_source": "assumed",
                "sha256": f"{row:064d}", "pixel_hash": f"{row:064d}",
                "embedding": vector / np.linalg.norm(vector), "thumbnail": thumb.tobytes(),
            }
        )  # fmt: skip
        for concept in (*NAMED, "keratin"):
            scores = rng.uniform(0.1, 0.9, len(SCORES))
            mask = pool[int(rng.integers(len(pool)))]
            candidates.append(
                {
                    "image_id": f"quilt/{image}", "concept": concept, "kind": "object",
                    "roles": ["decoy"] if concept == "keratin" else ["positive"],
                    "prompt": concept, "segmenter": "embedded", **mask,
                    "confidence": float(rng.random()), "notes": [],
                    **dict(zip(SCORES, scores.tolist(), strict=True)),
                    "geometry_border_fraction": 0.0, "geometry_outline_fraction": 0.0,
                    "geometry_speck_fraction": 0.0, "geometry_density_mm2": None,
                    "geometry_diameter_um": None, "geometry_overlap": 0.0,
                    "geometry_inside": None,
                }
            )  # fmt: skip
    more = [f for f in IMAGES_ADDED if f.name in ("embedding", "thumbnail", "pixel_hash")]
    return Unit(
        pa.Table.from_pylist(samples, SAMPLE_SCHEMA),
        pa.Table.from_pylist(images, pa.schema([*IMAGES, *more])),
        pa.Table.from_pylist(candidates, CANDIDATE_SCHEMA),
    )


def _mention(caption: str, concept: str, polarity: str = "affirmed") -> dict[str, Any]:
    start = caption.index(concept)
    return {
        "start": start, "end": start + len(concept), "text": concept, "concept": concept,
        "kind": "object", "polarity": polarity, "sources": ["lexicon"],
        "groundable": polarity == "affirmed", "reason": None, "turn": None,
    }  # fmt: skip


class Timed:
    """A spread that does the tasks here and notes the processor time of each, step by step."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, list[float]]] = []

    def __call__(self, function: Any, items: Any) -> Iterator[Any]:
        times: list[float] = []
        self.steps.append((function.folder.rsplit("/", 1)[-1], times))
        for item in items:
            begin = time.process_time()
            value = function(item)
            times.append(time.process_time() - begin)
            yield value


def measure(folder: str) -> dict[str, Any]:
    """The barrier and the report over units that are there, in this process."""
    store, timed = Store(folder), Timed()
    for name in ("shards", "ledger", "report", FINISHED):
        store.remove(name)  # tars that stand would not be packed again
    found = marks(store)
    begin = time.process_time()
    finish(store, config(folder), found, timed)
    whole = time.process_time() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    begin = time.process_time()
    write_report(store)
    report = time.process_time() - begin
    top = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {
        "barrier_s": whole,
        "report_s": report,
        "samples": read_manifest(store)["samples"],
        "peak_gb": peak,
        "peak_with_report_gb": top,
        "steps": timed.steps,
    }


def makespan(times: list[float], workers: int) -> float:
    """When the last of some workers is done, if each takes the next task as it is free."""
    free = [0.0] * workers
    for one in times:
        at = free.index(min(free))
        free[at] += one
    return max(free)


def show(rows: int, found: dict[str, Any]) -> None:
    """Print what was measured at one size."""
    every = found["barrier_s"] + found["report_s"]
    print(f"\n{rows:,} rows, {found['samples']:,} samples written")
    print(
        f"  {every:.1f} s of CPU, {1e3 * every / rows:.3f} ms a row (barrier "
        f"{found['barrier_s']:.1f}, report {found['report_s']:.1f}); peak "
        f"{found['peak_gb']:.2f} GB, with the report {found['peak_with_report_gb']:.2f}"
    )
    inside = sum(sum(times) for _, times in found["steps"])
    alone = found["barrier_s"] - inside
    for name, times in found["steps"]:
        print(f"    {name:10s} {sum(times):8.1f} s in {len(times)} tasks")
    print(f"    {'driver':10s} {alone:8.1f} s")
    for workers in (2, 8, 64):
        spans = sum(makespan(times, workers) for _, times in found["steps"])
        print(f"  {workers} workers: {found['barrier_s'] / (alone + spans):.2f} x one")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000])
    parser.add_argument("--keep", type=Path, help="folder for the units, kept and used again")
    parser.add_argument("--child")
    args = parser.parse_args()
    if args.child:
        print(json.dumps(measure(args.child)))
        return
    by_rows = {}
    for rows in args.rows:
        with tempfile.TemporaryDirectory() as temporary:
            folder = (args.keep or Path(temporary)) / str(rows)
            if not (folder / RUN).exists():
                shutil.rmtree(folder, ignore_errors=True)
                write_units(Store(folder), rows)
            command = [sys.executable, "-m", "tests.bench.barrier", "--child", str(folder)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            by_rows[rows] = json.loads(done.stdout.splitlines()[-1])
            show(rows, by_rows[rows])
    if len(by_rows) > 1:
        first, last = min(by_rows), max(by_rows)
        for name in ("barrier_s", "report_s", "peak_gb"):
            ratio = by_rows[last][name] / by_rows[first][name]
            print(f"{name}: exponent {np.log(ratio) / np.log(last / first):.2f}")


if __name__ == "__main__":
    main()
