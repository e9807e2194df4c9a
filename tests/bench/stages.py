"""Where the time of a run goes, stage by stage.

    python -m tests.bench.stages [--captions 5000] [--real DIR]

Mines phantom corpora, and with `--real` a folder with `quilt/`, `pathcap/` and `pathgen/`, first in
one process with a clock on every stage, then on Ray. Seconds of a stage are processor seconds.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

KINDS = ("quilt", "pathcap", "pathgen")
ONE_PROCESS = """
import sys
from tests.bench.stages import in_one_process
in_one_process(sys.argv[1], sys.argv[2])
"""


def in_one_process(corpora: str, out: str) -> None:
    """Mine without Ray in this process and print a line per stage: name, processor seconds."""
    from miner import run, work
    from miner.barrier import finish
    from miner.config import Config
    from miner.load_config import load_config
    from miner.progress import Lines
    from miner.stages import BUILD, NAMES

    spent = {"read": 0.0, **dict.fromkeys(NAMES, 0.0), "commit": 0.0, "barrier": 0.0, "report": 0.0}

    def clocked(name: str, function: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            began = time.process_time()
            result = function(*args, **kwargs)
            spent[name] += time.process_time() - began
            return result

        return call

    def building(name: str, build: Any) -> Any:
        return lambda config: clocked(name, build(config))

    def configured() -> Config:
        named = [f"{k}={corpora}/{k}" for k in KINDS if Path(corpora, k).exists()]
        return load_config("quickstart.yaml", [], named, out)

    for name in NAMES:
        BUILD[name] = building(name, BUILD[name])
    work.load_unit = clocked("read", work.load_unit)
    work.commit = clocked("commit", work.commit)
    run.finish = clocked("barrier", finish.finish)
    run.write_report = clocked("report", run.write_report)
    began, clock = time.process_time(), time.perf_counter()
    run.run(configured(), Lines(), use_ray=False)
    total = time.process_time() - began
    for name, seconds in spent.items():
        print(name, seconds)
    print("plan, loading, the rest", total - sum(spent.values()))
    print("total", total)
    print("wall", time.perf_counter() - clock)
    print("peak", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def on_ray(corpora: str, out: str, workers: int) -> float:
    """Wall seconds of `miner run` on Ray, start and end of the cluster included."""
    named = [f"--corpus={k}={corpora}/{k}" for k in KINDS if Path(corpora, k).exists()]
    command = [Path(sys.executable).parent / "miner", "run", "quickstart.yaml", f"--out={out}"]
    began = time.perf_counter()
    subprocess.run(
        [*command, *named, f"--workers={workers}"], check=True, stdout=subprocess.DEVNULL
    )
    return time.perf_counter() - began


def megabytes(folder: Path) -> float:
    """Size of everything in a folder."""
    return sum(f.stat().st_size for f in folder.rglob("*") if f.is_file()) / 1e6


def table(title: str, corpora: str, workers: int) -> None:
    """Print where the time goes, and what comes out."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        done = subprocess.run(
            [sys.executable, "-c", ONE_PROCESS, corpora, str(out)],
            capture_output=True,
            text=True,
            check=True,
        )
        found = {
            name: float(value)
            for name, value in (line.rsplit(" ", 1) for line in done.stdout.splitlines())
        }
        rows = sum(pq.read_metadata(f).num_rows for f in (out / "ledger/samples").glob("*"))
        sizes = {name: megabytes(out / name) for name in ("units", "ledger", "shards", "report")}
        ray_s = on_ray(corpora, f"{folder}/ray", workers)
    wall, peak, total = (found.pop(name) for name in ("wall", "peak", "total"))
    print(f"\n{title}: {rows} captions\n")
    print("| stage | processor s | share | captions/s |\n|---|---|---|---|")
    for name, seconds in found.items():
        each = rows / seconds if seconds else float("inf")
        print(f"| {name} | {seconds:.1f} | {seconds / total:.1%} | {each:,.0f} |")
    print(f"| all | {total:.1f} | | {rows / total:.1f} |")
    print(f"\none process: {wall:.0f} s, {peak:.0f} MiB at most")
    print(f"Ray, {workers} workers: {ray_s:.0f} s, cluster included")
    print("MB: " + ", ".join(f"{name} {size:.1f}" for name, size in sizes.items()))


def main() -> None:
    """Print a table per corpus."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--captions", type=int, default=5000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--real", help="folder with quilt/, pathcap/, pathgen/")
    args = parser.parse_args()
    from miner.demo import write_demo

    with tempfile.TemporaryDirectory() as folder:
        write_demo(Path(folder) / "corpora", captions=args.captions, seed=2)
        table("phantoms", f"{folder}/corpora", args.workers)
    if args.real:
        table("real tiles", args.real, args.workers)


if __name__ == "__main__":
    main()
