"""Whose OUT it is: one driver at a time, and how far that one is.

`lease/{number}.json` belongs to the driver that created it, which is atomic on disks and object
stores; the highest number counts. Its holder writes it anew every BEAT_S, so it is the heartbeat
too. A holder that died is found out: on its own machine by its process, elsewhere by its silence.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from miner.core.errors import Refused
from miner.core.store import Store

FOLDER = "lease"
BEAT_S = 5.0
SILENT_S = 30.0  # nobody who is alive is silent for so long
FORGOTTEN_S = 3600.0  # no clocks differ so much: who is silent for longer need not be watched
_HELD: set[str] = set()  # paths of the leases that this process holds
_HOLDING = threading.Lock()  # from the creation of a lease until it is among these


class Lease:
    """The right to write into an OUT, while a `held` block lasts."""

    def __init__(self, store: Store, number: int, about: dict[str, Any]):
        self._store = store
        self._name = _name(number)
        self._about = about
        self._ended = threading.Event()
        self._lost = ""
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def tell(self, **about: Any) -> None:
        """What the heartbeat says from now on: units, captions, rate, ..."""
        self._about = {**self._about, **about}

    def check(self) -> None:
        """Go on only if OUT still is ours.

        Raises:
            Refused: somebody took it over.
        """
        if self._lost:
            raise Refused(self._lost)

    def _beat(self) -> None:
        beat = 0
        while not self._ended.wait(BEAT_S):
            beat += 1
            # A store that does not answer for a moment is tried again at the next beat.
            with contextlib.suppress(Exception):
                names = self._store.names(FOLDER, suffix=".json")
                if names and names[-1] > self._name:
                    other = self._store.read_json(names[-1])
                    self._lost = f"out: {self._store.url} was taken over by {who(other)}"
                    return
                self._store.write_json(self._name, {**self._about, "beat": beat, "seen": _now()})

    def _end(self) -> None:
        self._ended.set()
        self._thread.join(timeout=BEAT_S)
        _HELD.discard(self._store.path(self._name))
        # What stays on a failing disk counts for nothing once this process is gone, and what ended
        # the run is to be said.
        with contextlib.suppress(OSError):
            self._store.remove(self._name)
            if self._store.local:
                os.rmdir(self._store.path(FOLDER))


@contextlib.contextmanager
def held(
    store: Store, takeover: bool = False, say: Callable[[str], None] = lambda text: None
) -> Iterator[Lease]:
    """Hold the lease of an OUT.

    Args:
        store: OUT.
        takeover: take it from whoever has it.
        say: told when a silent holder must be watched for a while.

    Raises:
        Refused: another driver is at work in OUT.
    """
    about = {**_me(), "since": _now(), "seen": _now(), "beat": 0}
    lease = Lease(store, _acquire(store, about, takeover, say), about)
    lease._thread.start()
    try:
        yield lease
    finally:
        lease._end()


def _acquire(
    store: Store, about: dict[str, Any], takeover: bool, say: Callable[[str], None]
) -> int:
    while True:
        names = store.names(FOLDER, suffix=".json")
        number = int(names[-1].removeprefix(f"{FOLDER}/").removesuffix(".json")) if names else 0
        if names and not takeover and (other := _living(store, names[-1], say)):
            raise Refused(
                f"out: {store.url}: {who(other)} is mining there since {other['since']}; wait for "
                "it, choose another --out, or take over with --takeover"
            )
        mine = _name(number + 1)
        with _HOLDING:
            created = store.create(mine, json.dumps(about, indent=2).encode())
            if created:
                _HELD.add(store.path(mine))
        if created:
            for name in names:
                store.remove(name)
            return number + 1


def _living(store: Store, name: str, say: Callable[[str], None]) -> dict[str, Any] | None:
    """What the lease says if its holder is alive."""
    about = read(store, name)
    if about is None:
        return None
    alive = _runs_here(about)
    if alive and about["pid"] == os.getpid():
        with _HOLDING:
            if store.path(name) not in _HELD:  # once this process's, and not to be removed then
                return None
    if alive is not None:
        return about if alive else None
    if _age_s(about) > FORGOTTEN_S:
        return None
    say(f"{who(about)} held this OUT {_age_s(about):.0f} s ago; watching whether it is alive")
    end = time.monotonic() + SILENT_S
    while time.monotonic() < end:
        time.sleep(min(BEAT_S, SILENT_S) / 5)
        now = read(store, name)
        if now is None:  # it has ended
            return None
        if now["beat"] != about["beat"]:
            return now
    return None


def read(store: Store, name: str) -> dict[str, Any] | None:
    """What a lease says; None when it is gone."""
    try:
        store.fs.invalidate_cache(store.path(FOLDER))
        return store.read_json(name)
    except FileNotFoundError:
        return None


def state(store: Store) -> str:
    """One line: who is at work in OUT and how far, since when nobody is, or nothing at all."""
    names = store.names(FOLDER, suffix=".json")
    about = read(store, names[-1]) if names else None
    if about is None:
        return ""
    alive = _runs_here(about)
    if alive is None:
        alive = _age_s(about) < SILENT_S
    if not alive:
        return f"dead since {about['seen']}: {who(about)}; the same command goes on"
    line = f"running: {who(about)}, since {about['since']}, seen {_age_s(about):.0f} s ago"
    if about.get("rate"):
        left_s = datetime.timedelta(seconds=round(about["left_s"]))
        line += f"; {about['rate']:.1f} captions/s, {left_s} left"
    return f"{line}; {about['at']}" if about.get("at") else line


def who(about: dict[str, Any]) -> str:
    """Host and process of a holder."""
    return f"{about['host']} (process {about['pid']})"


def _name(number: int) -> str:
    return f"{FOLDER}/{number:06d}.json"


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _age_s(about: dict[str, Any]) -> float:
    seen = datetime.datetime.fromisoformat(about["seen"])
    return max((datetime.datetime.now(datetime.UTC) - seen).total_seconds(), 0.0)


def _me() -> dict[str, Any]:
    pid = os.getpid()
    return {"host": socket.gethostname(), "machine": _machine(), "pid": pid, "began": _began(pid)}


def _machine() -> str:
    """This boot and process namespace: where a process number means something."""
    with contextlib.suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{socket.gethostname()}/{boot}/{os.readlink('/proc/self/ns/pid')}"
    return ""


def _began(pid: int) -> str:
    """When a process began, in ticks since boot; empty when it is gone or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]


def _runs_here(about: dict[str, Any]) -> bool | None:
    """Whether the holder's process runs; None when that cannot be told from here."""
    if not about["machine"] or about["machine"] != _machine():
        return None
    return _began(about["pid"]) == about["began"] != ""
