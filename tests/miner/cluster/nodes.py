"""A Ray cluster on loopback whose head and nodes can be killed."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil

AGENTS = (
    "dashboard-agent-grpc",
    "dashboard-agent-listen",
    "metrics-export",
    "runtime-env-agent",
)
STARTS = 3
START_S = 600.0
RAY = (sys.executable, Path(__file__).parent / "patient.py")


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Nodes:
    """Head first; each is a group of processes of its own (`ray start --block`).

    Attributes:
        address: of the head.
        environment: of everything that is started.
        processes: of the nodes.
        head: the one of them that is the head; None when it is lost.
        started: how many were, the lost ones too.
    """

    def __init__(self, environment: Mapping[str, str]):
        self.address = f"127.0.0.1:{free_port()}"
        self.environment = {
            **{k: v for k, v in os.environ.items() if k != "RAY_ADDRESS"},
            "RAY_worker_niceness": "0",
            "RAY_agent_register_timeout_ms": "300000",
            **environment,
        }
        self.processes: list[subprocess.Popen[bytes]] = []
        self.head: subprocess.Popen[bytes] | None = None
        self.started = 0

    def start(self, cpus: int, *options: str) -> subprocess.Popen[bytes]:
        """The head, or another node; on a busy machine Ray gives up at first."""
        for _ in range(STARTS - 1):
            with contextlib.suppress(RuntimeError):
                return self._start(cpus, *options)
        return self._start(cpus, *options)

    def _start(self, cpus: int, *options: str) -> subprocess.Popen[bytes]:
        where = [
            *("--head", f"--port={self.address.rsplit(':')[-1]}", "--include-dashboard=false"),
            # Two heads on one machine would ask for the same one.
            *(f"--ray-client-server-port={free_port()}", "--no-monitor"),
        ]
        first = self.head is None
        if not first:
            where = [f"--address={self.address}"]
        log = Path(self.environment["RAY_TMPDIR"]) / f"start-{self.started}.log"
        self.started += 1
        with log.open("w") as file:
            process = subprocess.Popen(
                [
                    *(*RAY, "start", *where, f"--num-cpus={cpus}", "--disable-usage-stats"),
                    *("--block", "--object-store-memory=200000000", "--include-log-monitor=false"),
                    *("--min-worker-port=0", "--max-worker-port=0"),
                    # Else the raylet waits for the agents' own, and on a busy machine too briefly.
                    *(f"--{agent}-port={free_port()}" for agent in AGENTS),
                    *options,
                ],
                env=self.environment,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        self.processes.append(process)
        if first:
            self.head = process
        end = time.monotonic() + START_S
        while process.poll() is None and time.monotonic() < end:
            if "Ray runtime started" in log.read_text():
                return process
            time.sleep(0.2)
        said = log.read_text()[-500:]
        self.kill(process)
        raise RuntimeError(f"ray start: {said}")

    def members(self, process: subprocess.Popen[bytes]) -> list[psutil.Process]:
        """Processes of a node."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return psutil.Process(process.pid).children(recursive=True)
        return []

    def raylet(self, process: subprocess.Popen[bytes]) -> psutil.Process | None:
        """What stands for a node; the workers are its children."""
        for one in self.members(process):
            with contextlib.suppress(psutil.Error):
                if one.name() == "raylet":
                    return one
        return None

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """All processes of a node at once, as when the machine is lost."""
        for one in self.members(process):
            with contextlib.suppress(psutil.Error):
                one.send_signal(signal.SIGKILL)
        process.kill()
        process.wait()
        self.processes.remove(process)
        if process is self.head:
            self.head = None


@contextlib.contextmanager
def nodes(*cpus: int, environment: Mapping[str, str] | None = None) -> Iterator[Nodes]:
    """A cluster whose nodes have these numbers of CPUs, the head's first."""
    with tempfile.TemporaryDirectory(prefix="ray", dir="/tmp") as folder:
        ours = {"RAY_TMPDIR": folder, "RAY_AUTH_MODE": "disabled", **(environment or {})}
        made = Nodes(ours)
        try:
            for n in cpus:
                made.start(n)
            yield made
        finally:
            for process in list(made.processes):
                made.kill(process)
