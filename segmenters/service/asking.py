"""Ways to a service: a local process that reads and writes JSON lines, or an HTTP endpoint.

Both take one request at a time, within a deadline that holds for the whole answer.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
import weakref
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

MOST_BYTES = 256 << 20  # of an answer


class Fault(Exception):
    """No answer; the message is the problem."""


class Way(Protocol):
    """One way to ask."""

    def ask(self, request: Mapping[str, Any], timeout_s: float) -> Any:
        """The JSON value that answers a request.

        Raises:
            Fault: `timeout`, `connection` (not there, gone, cut), `http_NNN`, `not_json`.
        """
        ...


class Process(Way):
    """A process that answers a line with a line of the same `id`; started when first asked.

    What it writes that is no JSON object is passed over: models print. One that ends, or does not
    answer in time, is ended, and started anew for the next request.

    Args:
        command: program and arguments.
    """

    def __init__(self, command: Sequence[str]):
        self.command = list(command)
        self._running: tuple[subprocess.Popen[bytes], queue.Queue[bytes | None]] | None = None
        self._number = 0

    def ask(self, request: Mapping[str, Any], timeout_s: float) -> Any:
        """See `Way.ask`."""
        deadline = time.monotonic() + timeout_s
        self._number += 1
        line = json.dumps({"id": self._number, **request}).encode() + b"\n"
        process, lines = self._running or self._start()
        writer = threading.Thread(target=_write, args=(process, line), daemon=True)
        writer.start()
        while True:
            try:
                said = lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                self.end()
                raise Fault("timeout") from None
            if said is None:
                self.end()
                raise Fault("connection")
            value = _object(said)
            if value is not None and value.get("id") == self._number:
                return value

    def _start(self) -> tuple[subprocess.Popen[bytes], queue.Queue[bytes | None]]:
        try:
            process = subprocess.Popen(
                self.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,  # so that what it starts itself ends with it
            )
        except OSError:
            raise Fault("connection") from None
        lines: queue.Queue[bytes | None] = queue.Queue()
        threading.Thread(target=_read, args=(process, lines), daemon=True).start()
        weakref.finalize(self, _kill, process)
        self._running = process, lines
        return self._running

    def end(self) -> None:
        """End the process, if one runs."""
        if self._running is not None:
            _kill(self._running[0])
            self._running = None


class Endpoint(Way):
    """An address that answers a POST of JSON with JSON.

    Args:
        url: http or https.
    """

    def __init__(self, url: str):
        self.url = url

    def ask(self, request: Mapping[str, Any], timeout_s: float) -> Any:
        """See `Way.ask`."""
        # A socket's time-out begins anew with each byte: the deadline is kept from outside.
        found: queue.Queue[Any] = queue.Queue()
        body = json.dumps(request).encode()
        asking = threading.Thread(
            target=_post, args=(self.url, body, timeout_s, found), daemon=True
        )
        asking.start()
        try:
            answer = found.get(timeout=timeout_s)
        except queue.Empty:
            raise Fault("timeout") from None
        if isinstance(answer, Fault):
            raise answer
        return answer


def _write(process: subprocess.Popen[bytes], line: bytes) -> None:
    assert process.stdin is not None
    try:
        process.stdin.write(line)
        process.stdin.flush()
    except (OSError, ValueError):  # it ended: the reader says so
        return


def _read(process: subprocess.Popen[bytes], lines: queue.Queue[bytes | None]) -> None:
    assert process.stdout is not None
    try:
        while line := process.stdout.readline(MOST_BYTES):
            lines.put(line)
    except (OSError, ValueError):  # its pipe was closed from here
        pass
    lines.put(None)


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _kill(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            try:
                pipe.close()
            except OSError:  # what was not written yet
                continue


def _post(url: str, body: bytes, timeout_s: float, found: queue.Queue[Any]) -> None:
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, body, headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=timeout_s) as reply:
            found.put(json.loads(reply.read(MOST_BYTES)))
    except urllib.error.HTTPError as error:
        found.put(Fault(f"http_{error.code}"))
    except TimeoutError:
        found.put(Fault("timeout"))
    except (OSError, urllib.error.URLError) as error:
        late = isinstance(getattr(error, "reason", None), TimeoutError)
        found.put(Fault("timeout" if late else "connection"))
    except Exception:  # broken lines and bodies: whatever a server sends
        found.put(Fault("not_json"))
