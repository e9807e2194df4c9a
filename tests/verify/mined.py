"""Promises about a run: the ledger, the resume, the stated precision, the exports."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq

from miner.core.built_in import BUILT_IN
from miner.core.store import Store
from miner.core.unit import STATUSES
from miner.evaluate.compare import evaluate
from shards.export.run import samples
from tests.shards.read_back import read_back
from tests.verify.promise import Promise, promise, skipped

KINDS = ("quilt", "pathcap", "pathgen")
KILLS = 4
# A false-discovery rate is an expectation: one run may be off by this (issue of the filters).
FDR_SLACK = 0.03


def command(corpora: Path, out: Path, *extra: str) -> list[str]:
    """The command line of a run over all three corpora."""
    named = [f"--corpus={kind}={corpora / kind}" for kind in KINDS]
    miner = [sys.executable, "-m", "miner.cli"]
    return [*miner, "run", "quickstart.yaml", f"--out={out}", *named, *extra]


def mine(corpora: Path, out: Path, *extra: str) -> None:
    """Run to the end."""
    subprocess.run(command(corpora, out, *extra), check=True, stdout=subprocess.DEVNULL)


def published(corpora: Path) -> dict[str, int]:
    """Rows of the corpora, counted without any code of the package."""
    with next((corpora / "quilt").glob("*.csv")).open(newline="", encoding="utf-8") as file:
        quilt = sum(1 for _ in csv.DictReader(file))
    lists = {"pathcap": "data.json", "pathgen": "PathGen-1.6M.json"}
    found = {k: len(json.loads((corpora / k / name).read_text())) for k, name in lists.items()}
    return {"quilt": quilt, **found}


def ledger(corpora: Path, out: Path) -> Iterator[Promise]:
    """Every input row is accounted for."""
    rows = [
        row
        for file in sorted((out / "ledger/samples").glob("*.parquet"))
        for row in pq.read_table(file).to_pylist()
    ]
    expected = published(corpora)
    counts = Counter(row["corpus"] for row in rows)
    once = len({(row["corpus"], row["row"]) for row in rows}) == len(rows)
    reasons = all(
        row["status"] in STATUSES and (row["reason"] is None) == (row["status"] == "written")
        for row in rows
    )
    in_tars = {s.key for s in samples(Store(str(out)))}
    told = {row["key"] for row in rows if row["status"] == "written"}
    yield promise(
        "every row once, with a state and a reason",
        f"{sum(expected.values())} rows",
        f"{len(rows)} rows, {len(told)} written, {len(in_tars)} in the shards",
        counts == expected and once and reasons and told == in_tars,
    )


def bytes_of(out: Path) -> dict[str, str]:
    """Checksums of everything in shards/."""
    files = sorted((out / "shards").iterdir())
    return {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in files}


def resume(corpora: Path, out: Path, seconds: float, seed: int) -> Iterator[Promise]:
    """Killed anywhere, resumed: the bytes of `out`.

    Args:
        corpora: what was mined.
        out: the uninterrupted run, on Ray with two workers.
        seconds: how long that took; kills fall into half of it.
        seed: of the moments.
    """
    rng, again = random.Random(seed), out.with_name("killed")
    for _ in range(KILLS):
        process = subprocess.Popen(
            command(corpora, again, "--no-ray"),
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(rng.uniform(2, 2 + seconds / 2))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    units = len(list((again / "units").glob("*.json")))
    mine(corpora, again, "--no-ray")
    same = bytes_of(again) == bytes_of(out)
    yield promise(
        f"killed {KILLS} times, resumed in one process: the bytes of two Ray workers",
        "equal",
        f"{'equal' if same else 'different'}; {units} units were done at the last kill",
        same,
    )


def precision(corpora: Path, out: Path) -> Iterator[Promise]:
    """Precision at the stated precision, and the false-discovery rate at the stated one."""
    yield _judged("precision at filters.precision=0.9", corpora, out, 0.9)
    for fdr in (0.05, 0.1, 0.2):
        other = out.with_name(f"fdr-{fdr}")
        shutil.copytree(out, other)
        refilter = [sys.executable, "-m", "miner.cli", "refilter", other]
        subprocess.run(
            [*refilter, "--set", f"filters.fdr={fdr}"], check=True, stdout=subprocess.DEVNULL
        )
        yield _judged(f"precision at filters.fdr={fdr}", corpora, other, 1 - fdr - FDR_SLACK)


def _judged(what: str, corpora: Path, out: Path, bar: float) -> Promise:
    if not any((out / "shards").glob("*.tar")):
        return skipped(what, f">= {bar:.2f}", "nothing was accepted")
    found = evaluate(Store(str(out)), corpora / "expert_masks")["all"]
    share, low, high = (found[k] or 0.0 for k in ("precision", "precision_low", "precision_high"))
    figure = f"{share:.3f} ({low:.2f}–{high:.2f}) of {found['judged']} masks"
    return promise(what, f">= {bar:.2f}", figure, share >= bar and found["judged"] > 0)


def exports(out: Path) -> Iterator[Promise]:
    """Every dialect, read back by its consumer's rules."""
    source = [dataclasses.replace(s, split="train") for s in samples(Store(str(out)))]
    for dialect in BUILT_IN["exporters"]:
        with contextlib.redirect_stdout(None):  # pycocotools tells what it reads
            found = read_back(dialect, source, out.with_name(f"export-{dialect}"))
        yield promise(
            f"export to {dialect}, read back by its consumer's rules",
            "0 wrong",
            f"{found.same} same, {found.lost} in LOSSES.jsonl, {len(found.wrong)} wrong",
            not found.wrong and found.same > 0,
        )
