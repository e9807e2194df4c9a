"""Planning, zip indexes, slide patches and inspection on files of the published size.

    python -m tests.bench.corpora [--scale 1.0] [--folder DIR]

Scale 1 writes 3.5 GB. Every part runs in a process of its own, with one thread.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.bench.published_size import write_pathgen, write_quilt, write_zip


def _plan(kind: str, folder: Path) -> dict[str, Any]:
    from miner.core.store import Store
    from miner.corpora.plan import make_plan
    from tests.miner.corpora.layouts import config

    store = Store(str(folder / "out" / kind))
    # The zip lies beside the table; its index is timed on its own.
    corpus = config(kind, next((folder / kind).glob("*.[cj]s*")))
    result: dict[str, Any] = {}
    for name in ("first", "again"):
        started, cpu = time.monotonic(), time.process_time()
        plan = make_plan([corpus], 64, store)
        result[f"{name}_s"] = round(time.monotonic() - started, 2)
        result[f"{name}_cpu_s"] = round(time.process_time() - cpu, 2)
    started = time.monotonic()
    first = next(plan.refs())
    result["first_unit_s"] = round(time.monotonic() - started, 3)
    return {"rows": plan.rows[kind], "units": plan.units[kind], **result, "of": first.rows}


def quilt(folder: Path) -> dict[str, Any]:
    return _plan("quilt", folder)


def pathgen(folder: Path) -> dict[str, Any]:
    return _plan("pathgen", folder)


def index(folder: Path) -> dict[str, Any]:
    from miner.core.store import Store
    from miner.corpora.corpus_folder import Folder
    from miner.corpora.locations import Locations

    place = folder / "zips"
    store = Store(str(folder / "out" / "zip"))
    result: dict[str, Any] = {}
    for name in ("build", "reuse"):
        started, cpu = time.monotonic(), time.process_time()
        locations = Locations(Folder(str(place)), [], [""], "path", "plan/quilt")
        locations.prepare(store)
        archive = locations.archives(store)[0]
        archive.read("a000000000x_image_00000002-5e1a-4c7e-9b1d-000000003dde.jpg", 1 << 20)
        result[f"{name}_s"] = round(time.monotonic() - started, 2)
        result[f"{name}_cpu_s"] = round(time.process_time() - cpu, 2)
    return {"members": len(archive.index), **result}


def patches(folder: Path) -> dict[str, Any]:
    """Patches of one slide against a bare OpenSlide loop, interleaved."""
    import openslide

    from miner.core.pixels import encode
    from miner.corpora.corpus_folder import Folder
    from miner.corpora.pathgen import PathGen
    from miner.corpora.slides import Slide
    from miner.demo.slides import write_slide
    from tests.miner.corpora.layouts import config, pathgen_record, write_json

    path = folder / "slide" / "A.tif"
    rng = np.random.default_rng(0)
    small = rng.integers(60, 220, (768, 768, 3), dtype=np.uint8)
    pixels = small.repeat(8, axis=0).repeat(8, axis=1)
    pixels += rng.integers(0, 12, pixels.shape, dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_slide(path, pixels, 0.5)
    places = [(x, y) for y in range(0, 5400, 448) for x in range(0, 5400, 448)]
    records = [pathgen_record("A", x, y) for x, y in places]
    write_json(path.parent / "PathGen-1.6M.json", records)
    reader = PathGen(config("pathgen", path.parent))

    def bare() -> None:
        slide = openslide.OpenSlide(str(path))
        for place in places:
            np.asarray(slide.read_region(place, 0, (672, 672)))

    def read(format_: str = "") -> None:
        slide = Slide(Folder(str(path)))
        for x, y in places:
            patch = slide.patch(x, y, 672)
            assert not isinstance(patch, str)
            assert not reader._is_white(patch)
            if format_:
                encode(patch, format_)
        slide.close()

    seconds: dict[str, list[float]] = {}
    runs: dict[str, Callable[[], None]] = {
        "bare": bare,
        "read": read,
        "read_jpg": lambda: read("jpg"),
        "read_png": lambda: read("png"),
    }
    for _ in range(5):
        for name, run in runs.items():
            started = time.process_time()
            run()
            seconds.setdefault(name, []).append(time.process_time() - started)
    best = {name: min(values) for name, values in seconds.items()}
    ratios = {f"{n}_ratio": round(best["bare"] / best[n], 2) for n in runs if n != "bare"}
    return {"patches_per_s_bare": round(len(places) / best["bare"], 1), **ratios}


def inspect(folder: Path) -> dict[str, Any]:
    from miner.corpora.inspect import examine

    started, cpu = time.monotonic(), time.process_time()
    found = examine(str(folder / "quilt"))
    return {
        "rows": found["rows"],
        "missing": found["missing"],
        "s": round(time.monotonic() - started, 2),
        "cpu_s": round(time.process_time() - cpu, 2),
    }


PARTS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "quilt": quilt,
    "pathgen": pathgen,
    "index": index,
    "patches": patches,
    "inspect": inspect,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=0.02)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--part", choices=PARTS)
    arguments = parser.parse_args()
    if arguments.part:
        found = PARTS[arguments.part](arguments.folder)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({**found, "peak_mb": round(peak)}))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        if not (folder / "quilt").exists():
            write_quilt(folder / "quilt" / "quilt_1M_lookup.csv", arguments.scale)
            write_pathgen(folder / "pathgen" / "PathGen-1.6M.json", arguments.scale)
            write_zip(folder / "zips" / "images.zip", arguments.scale)
        print(f"{platform.processor() or platform.machine()}, load {os.getloadavg()[0]:.1f}")
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        for part in PARTS:
            command = [sys.executable, "-m", "tests.bench.corpora", "--part", part]
            done = subprocess.run(
                [*command, "--folder", str(folder)],
                env=environment,
                check=True,
                capture_output=True,
                text=True,
            )
            print(f"{part}: {done.stdout.strip()}")


if __name__ == "__main__":
    main()
