"""Runs on three nodes on loopback to which everything happens; all give the same bytes.

    python -m tests.chaos [--runs N] [--seed S] [--log FILE]

Among some sixty pictures one crashes its decoder, one never ends and one takes all memory. While a
run mines them, workers, raylets, nodes, the head and the driver are killed or stopped, at moments
between the first unit and the report that the seed chooses; a driver that ended is started again,
and a head with it. The next run begins on what is left of the cluster, mended. Each must end with
the shards of an undisturbed one, its ledger must add up, and the three pictures alone must be left
out. Exit 1 says that one did not.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import dataclasses
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import psutil
import pyarrow.parquet as pq

from tests.bench.memory import write_pairs
from tests.miner.cluster.nodes import Nodes, nodes
from tests.miner.test_run import shard_bytes

POISON = Path(__file__).parents[1] / "miner/poison"
CAPTIONS, UNIT_ROWS = 60, 3
ACTS = {
    7: ("segfault", "worker_died"),
    23: ("hang", "timed_out"),
    41: ("memory", "out_of_memory"),
}
UNITS = CAPTIONS // UNIT_ROWS
NODES = 3
# Long beside what a unit takes on a busy machine: only what hangs is to be given up.
TIMEOUT_S = 30
LONGEST_S = 1800  # a run that has not ended by then never will
VICTIMS = ("child", "actor", "raylet", "node", "head", "driver")
AT_BARRIER = ("driver", "driver", "head", "raylet", "node")  # no unit is worked on there
# Without networks: what is tried is the runner, and processes that load torch are slow to start.
LIGHT = ("segment.segmenters=[{kind: stain}]", "filters.clip=null")
ENVIRONMENT = {
    "PYTHONPATH": os.pathsep.join([str(POISON), *sys.path]),
    # The head notices a stopped raylet after some 10 s instead of a minute.
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "2000",
}


@dataclasses.dataclass(frozen=True)
class Fault:
    """What is done to whom, and when.

    Attributes:
        after: committed units; `UNITS` means at the barrier.
        wait_s: and so long after that.
        victim: one of `VICTIMS`.
        stop_s: it is stopped for so long; killed where 0.
    """

    after: int
    wait_s: float
    victim: str
    stop_s: float

    def __str__(self) -> str:
        what = f"stopped {self.stop_s:.0f} s" if self.stop_s else "killed"
        when = "barrier" if self.after == UNITS else f"unit {self.after}"
        return f"{self.victim} {what} at {when}"

    @property
    def kind(self) -> str:
        """What is done to whom, whenever and for however long."""
        return f"{self.victim} {'stopped' if self.stop_s else 'killed'}"


def faults(rng: random.Random) -> list[Fault]:
    """Three to seven, in order; one of them at the barrier or while shards are packed."""
    found = []
    for i in range(rng.randint(3, 7)):
        after = UNITS if i == 0 else rng.randrange(UNITS)
        victim = rng.choice(AT_BARRIER if after == UNITS else VICTIMS)
        stopped = victim not in ("node", "head") and rng.random() < 0.4
        found.append(
            Fault(after, rng.uniform(0, 4), victim, rng.uniform(5, 40) if stopped else 0.0)
        )
    return sorted(found, key=lambda fault: (fault.after, fault.wait_s))


def command(corpus: Path, out: Path) -> list[str]:
    return [
        *(sys.executable, "-m", "miner.cli", "run", "quickstart.yaml"),
        *("--corpus", f"pairs={corpus}", "--out", str(out)),
        *("--set", f"runner.unit_rows={UNIT_ROWS}"),
        *("--set", f"runner.unit_timeout_s={TIMEOUT_S}"),
        *(word for setting in LIGHT for word in ("--set", setting)),
    ]


def mend(cluster: Nodes) -> None:
    """A head and three nodes, as an operator would see to."""
    lost = cluster.head is None or cluster.raylet(cluster.head) is None
    for process in list(cluster.processes):
        if lost or cluster.raylet(process) is None:
            cluster.kill(process)
    while len(cluster.processes) < NODES:
        cluster.start(1)


class Run:
    """One run under faults.

    Args:
        cluster: where it runs.
        corpus: what it mines.
        out: where to.
        log: what driver and harness say.
    """

    def __init__(self, cluster: Nodes, corpus: Path, out: Path, log: IO[str]):
        self.cluster, self.corpus, self.out, self.log = cluster, corpus, out, log
        self.stopped: list[tuple[float, psutil.Process]] = []
        self.struck: list[Fault] = []
        self.drivers = 0
        self.driver = self._drive()

    def _drive(self) -> subprocess.Popen[bytes]:
        self.drivers += 1
        return subprocess.Popen(
            command(self.corpus, self.out),
            env={**self.cluster.environment, "RAY_ADDRESS": self.cluster.address},
            stdout=self.log,
            stderr=self.log,
        )

    def units(self) -> int:
        """Committed ones; `UNITS` once all are."""
        return len(list(self.out.glob("units/*.json")))

    def until(self, ready: float | None, units: int) -> bool:
        """Wait for a number of units or a moment; False when the run is over before."""
        while self.units() < units or (ready is not None and time.monotonic() < ready):
            if not self.step():
                return False
        return True

    def step(self) -> bool:
        """Let a moment pass; False once the run has ended well."""
        time.sleep(0.2)
        for at, process in list(self.stopped):
            if time.monotonic() > at:
                self.stopped.remove((at, process))
                with contextlib.suppress(psutil.Error):
                    process.send_signal(signal.SIGCONT)
        code = self.driver.poll()
        if code == 0:
            return False
        if code is not None:
            self.say(f"driver ended with {code}")
            mend(self.cluster)
            self.driver = self._drive()
        return True

    def strike(self, fault: Fault, rng: random.Random) -> None:
        """Do it, where there is such a victim."""
        self.say(str(fault))
        if self._strike(fault, rng):
            self.struck.append(fault)
        else:
            self.say("nobody there")

    def _strike(self, fault: Fault, rng: random.Random) -> bool:
        processes = self.cluster.processes
        if fault.victim in ("node", "head"):
            others = [process for process in processes if process is not self.cluster.head]
            whom = self.cluster.head if fault.victim == "head" else others[-1] if others else None
            if whom is not None:
                self.cluster.kill(whom)
            if fault.victim == "node" and self.cluster.head is not None:
                with contextlib.suppress(RuntimeError):  # the head is about to be found dead
                    self.cluster.start(1)
            return whom is not None
        victims = list(self.victims(fault.victim))
        if not victims:
            return False
        victim = rng.choice(victims)
        with contextlib.suppress(psutil.Error):
            victim.send_signal(signal.SIGSTOP if fault.stop_s else signal.SIGKILL)
            if fault.stop_s:
                self.stopped.append((time.monotonic() + fault.stop_s, victim))
            return True
        return False

    def victims(self, kind: str) -> Iterator[psutil.Process]:
        """Processes of a kind, now."""
        if kind == "driver":
            yield psutil.Process(self.driver.pid)
            return
        for node in self.cluster.processes:
            for one in self.cluster.members(node):
                with contextlib.suppress(psutil.Error):
                    line = one.cmdline()
                    if kind == "child" and "miner.child" in line:
                        yield one
                    if kind == "actor" and line and line[0].startswith("ray::Post"):
                        yield one
                    if kind == "raylet" and one.name() == "raylet":
                        yield one

    def say(self, text: str) -> None:
        self.log.write(f"chaos: {text}\n")
        self.log.flush()

    def end(self) -> None:
        """Leave nobody behind."""
        for _, process in self.stopped:
            with contextlib.suppress(psutil.Error):
                process.kill()
        if self.driver.poll() is None:
            self.driver.kill()
        self.driver.wait()


def broken(out: Path, expected: dict[str, str]) -> list[str]:
    """What is wrong with an OUT."""
    wrong = []
    if shard_bytes(out) != expected:
        wrong.append("other bytes")
    rows = [
        r for f in (out / "ledger/samples").glob("*.parquet") for r in pq.read_table(f).to_pylist()
    ]
    left_out = {r["row"]: r["reason"] for r in rows if r["status"] == "unreadable"}
    if left_out != {row: reason for row, (_, reason) in ACTS.items()}:
        wrong.append(f"left out: {left_out}")
    if sorted(row["row"] for row in rows) != list(range(CAPTIONS)):
        wrong.append("the ledger does not add up")
    validate = [sys.executable, "-m", "miner.cli", "validate", str(out)]
    if subprocess.run(validate, capture_output=True).returncode:
        wrong.append("validate finds faults")
    return wrong


@dataclasses.dataclass(frozen=True)
class Ended:
    """What became of a run.

    Attributes:
        seed: of the run.
        wrong: what is wrong with its OUT; nothing where all is well.
        seconds: from the first node to the end.
        struck: what was done to it.
        drivers: how many it took.
        said: by drivers and harness.
    """

    seed: int
    wrong: list[str]
    seconds: float
    struck: list[Fault]
    drivers: int
    said: str

    def __str__(self) -> str:
        happened = "; ".join([f"{self.seconds:.0f} s", *map(str, self.struck)])
        return (
            f"seed {self.seed}: {'; '.join(self.wrong) or 'equal'} "
            f"({happened}; {self.drivers} drivers)"
        )

    def line(self) -> str:
        """The same as a line of JSON."""
        return json.dumps(
            {
                "seed": self.seed,
                "wrong": self.wrong,
                "seconds": round(self.seconds),
                "struck": list(map(str, self.struck)),
                "drivers": self.drivers,
            }
        )


def chaos(seed: int, cluster: Nodes, corpus: Path, expected: dict[str, str], folder: Path) -> Ended:
    """One run."""
    rng = random.Random(seed)
    planned = faults(rng)
    began = time.monotonic()
    out, said = folder / f"out-{seed}", folder / f"{seed}.log"
    mend(cluster)
    late = False
    with said.open("w") as log:
        run = Run(cluster, corpus, out, log)
        try:
            for fault in planned:
                over = not run.until(None, fault.after)
                if over or not run.until(time.monotonic() + fault.wait_s, 0):
                    break
                run.strike(fault, rng)
            while run.step() and not late:
                late = time.monotonic() - began > LONGEST_S
        finally:
            run.end()
    wrong = [f"no end after {LONGEST_S} s"] if late else broken(out, expected)
    seconds = time.monotonic() - began
    return Ended(seed, wrong, seconds, run.struck, run.drivers, said.read_text())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument(
        "--seed", type=int, default=0, help="of the first run; the next has the next"
    )
    parser.add_argument("--log", type=Path, help="a line of JSON a run is added here")
    args = parser.parse_args()
    struck: collections.Counter[str] = collections.Counter()
    well = 0
    with tempfile.TemporaryDirectory(prefix="chaos") as name:
        folder = Path(name)
        corpus = folder / "corpus"
        write_pairs(corpus, CAPTIONS)
        for row, (act, _) in ACTS.items():
            with (corpus / f"{row:06d}.png").open("ab") as file:
                file.write(f"poison:{act}".encode())
        plain = [*command(corpus, folder / "plain"), "--no-ray"]
        subprocess.run(plain, env={**os.environ, **ENVIRONMENT}, check=True, capture_output=True)
        expected = shard_bytes(folder / "plain")
        with nodes(1, 1, 1, environment=ENVIRONMENT) as cluster:
            for seed in range(args.seed, args.seed + args.runs):
                ended = chaos(seed, cluster, corpus, expected, folder)
                well += not ended.wrong
                struck.update(fault.kind for fault in ended.struck)
                print(ended, flush=True)
                if ended.wrong:
                    print(ended.said[-4000:], flush=True)
                if args.log:
                    with args.log.open("a") as file:
                        file.write(f"{ended.line()}\n")
    print(", ".join(f"{kind}: {n}" for kind, n in sorted(struck.items())))
    print(f"{well} of {args.runs} ended with equal bytes and the three pictures left out")
    return int(well < args.runs)


if __name__ == "__main__":
    sys.exit(main())
