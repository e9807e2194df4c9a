"""A worker in a process of its own: what it does there cannot end the process that asks.

`Child` is the asking side; `python -m miner.child FD` the other one, which answers over a socket.
"""

from __future__ import annotations

import ctypes
import multiprocessing.connection
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from miner.config import Config, StageName
from miner.core import beacon
from miner.core.errors import Refused, lacks_memory
from miner.core.extras import installed
from miner.core.terminal import safe_logs

POLL_S = 1.0
PR_SET_PDEATHSIG = 1


class Died(Exception):
    """The process is gone. `signal` is the one that ended it, or 0."""

    def __init__(self, code: int):
        self.signal = max(-code, 0)
        super().__init__(signal.Signals(self.signal).name if self.signal else f"exit {code}")


class Late(Exception):
    """The process did not answer in time and was ended. `stopped`: somebody had stopped it."""

    def __init__(self, stopped: bool):
        self.stopped = stopped
        super().__init__("stopped" if stopped else "no answer")


class Raised(Exception):
    """The work raised an error that says nothing of the machine.

    Attributes:
        name: of its class.
        memory: it says that memory ran out.
    """

    def __init__(self, name: str, text: str, memory: bool):
        self.name, self.memory = name, memory
        super().__init__(text)

    @staticmethod
    def told(error: Exception) -> tuple[str, str, bool]:
        """The arguments, of what the work raised: its name, its first line, about memory."""
        text = (str(error).strip().splitlines() or [""])[0]
        return type(error).__name__, text[:300], lacks_memory(error)


class Child:
    """A process with a `miner.work.Worker` in it.

    Args:
        config: the run.
        names: the worker's stages.
        eager: load the models at once, else never: the worker can only read.
    """

    def __init__(self, config: Config, names: tuple[StageName, ...], eager: bool = True):
        self.eager = eager
        self.stage = "start"  # what it is at
        self.picture: str | None = None  # image_id
        self.rows: dict[str, list[int]] = {}  # of the unit, by image_id
        ours, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "miner.child", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=sys.stderr.fileno() if _has_file(sys.stderr) else subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
                process_group=0,  # Ctrl-C is for the process that asks
            )
        self.connection = multiprocessing.connection.Connection(ours.detach())
        self._send((config, names, eager))

    def ask(self, method: str, *args: Any, late: Callable[[float, float], bool]) -> Any:
        """Call a method of the worker.

        Args:
            method: its name.
            args: its arguments.
            late: whether to wait no longer, given when the work began and when it was last heard
                of, both `time.monotonic`.

        Raises:
            Died: the process is gone.
            Late: it took too long, and is gone now.
            Raised: the method raised; the process goes on.
            Refused: a stage could not be built.
            OSError: disk, network or rights, as the method raised it.
        """
        self.rows = {}
        self._send((method, args))
        return self.answer(late)

    def answer(self, late: Callable[[float, float], bool]) -> Any:
        """Wait for the next answer; see `ask`. The first one says that the models are loaded."""
        began = heard = time.monotonic()
        while True:
            try:
                if not self.connection.poll(POLL_S):
                    if late(began, heard):
                        raise Late(self._end())
                    continue
                kind, *said = self.connection.recv()
            except (EOFError, ConnectionError):
                raise Died(self.process.wait()) from None
            heard = time.monotonic()
            if kind == "stage":
                self.stage, self.picture = said[0], None
            elif kind == "picture":
                self.picture = said[0]
            elif kind == "rows":
                self.rows = said[0]
            elif kind == "done":
                return said[0]
            elif kind == "refused":
                raise Refused(said[0])
            elif kind == "machine":
                number, text, file = said
                raise OSError(number, text, *((file,) if file else ()))
            else:
                raise Raised(*said)

    def close(self) -> None:
        """End the process."""
        self._end()
        self.connection.close()

    def _send(self, message: Any) -> None:
        try:
            self.connection.send(message)
        except (BrokenPipeError, ConnectionError):
            pass  # it died; the answer says of what

    def _end(self) -> bool:
        """Kill the process; returns whether somebody had stopped it."""
        stopped = False
        if self.process.poll() is None:
            stopped = _state(self.process.pid) in "Tt"
            self.process.kill()
            self.process.wait()
        return stopped


def _has_file(stream: Any) -> bool:
    try:
        return stream.fileno() >= 0
    except (AttributeError, OSError, ValueError):
        return False


def _state(pid: int) -> str:
    """State of a process, as ps says it: R, S, D, T (stopped), Z; a blank when unknown."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return " "


def main(fd: int) -> None:
    """Answer questions until the asking process closes the socket or is gone."""
    parent = os.getppid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        return
    safe_logs()
    connection = multiprocessing.connection.Connection(fd)
    config, names, eager = connection.recv()
    worker: Any = None
    beacon.tell(lambda image_id: connection.send(("picture", image_id)))
    question: tuple[str, tuple[Any, ...]] = ("", ())  # the first answer is that all is loaded
    while True:
        method, args = question
        answer: tuple[Any, ...]
        try:
            with installed():
                if worker is None:
                    worker = _worker(config, names, connection)
                    answer = ("done", bool(eager and worker.load()))
                else:
                    answer = ("done", getattr(worker, method)(*args))
        except Refused as error:
            answer = ("refused", str(error))
        except Exception as error:
            answer = _told(error)
        connection.send(answer)
        try:
            question = connection.recv()
        except EOFError:
            return


def _worker(config: Config, names: tuple[StageName, ...], connection: Any) -> Any:
    from miner.work import Worker

    return Worker(config, names, tell=lambda what, value: connection.send((what, value)))


def _told(error: Exception) -> tuple[Any, ...]:
    """An error in plain values: not every exception survives being pickled."""
    if isinstance(error, OSError) and error.errno is not None:
        return "machine", error.errno, error.strerror or str(error), error.filename
    return "raised", *Raised.told(error)


if __name__ == "__main__":
    main(int(sys.argv[1]))
