"""Whether the head of a Ray cluster answers: without it nothing can be placed, and Ray aborts."""

from __future__ import annotations

import os
import re
import socket
import threading
import time

from miner.core.errors import Refused
from miner.core.terminal import say

ANSWER_S = 10.0
LOOK_S = 3.0
# Ray itself aborts the driver after 60 s; a head with fault tolerance is back sooner.
LOST_S = 45.0
TOKEN = (
    "its head asks for a token; export RAY_AUTH_MODE=token and RAY_AUTH_TOKEN, or "
    "RAY_AUTH_TOKEN_PATH=FILE, as on the head (~/.ray/auth_token)"
)
# After so long the driver is waiting for an answer of Ray's that will not come.
STUCK_S = 10.0


def connect(address: str) -> str:
    """Try to reach a `host:port`; returns why not, or nothing."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=ANSWER_S).close()
    except OSError as error:
        return error.strerror or str(error)
    return ""


def check_address(address: str) -> None:
    """Refuse a RAY_ADDRESS where nothing listens: Ray tries for minutes and says so in pages.

    Nothing listens either where `ray start` was called in an environment whose path has a space:
    the head dies a second later.

    Raises:
        Refused: nothing listens there.
    """
    found = re.fullmatch(r"(?:ray://)?([\w.-]+:\d+)", address)
    if found and (why := connect(found[1])):
        raise Refused(
            f"RAY_ADDRESS={address}: no Ray head answers ({why}); unset it to run on this machine"
        )


class Head:
    """Watches the head from a thread, from `__enter__` to `__exit__`.

    Args:
        address: host and port of its control store.
    """

    def __init__(self, address: str):
        self.address = address
        self.lost = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Head:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()

    def check(self) -> None:
        """Raise `Refused` when it is lost."""
        if self.lost:
            raise Refused(self._line())

    def _line(self) -> str:
        return (
            f"the Ray head at {self.address} is gone; start one (ray start --head) and run the "
            "same command: it goes on"
        )

    def _watch(self) -> None:
        answered = time.monotonic()
        while not self._ended.wait(LOOK_S):
            if not connect(self.address):
                answered = time.monotonic()
            elif time.monotonic() - answered > LOST_S:
                self.lost = True
                if not self._ended.wait(STUCK_S):
                    say(f"miner: {self._line()}", err=True)
                    os._exit(2)
                return
