"""Ctrl-C and SIGTERM: the process ends in one line; a second one ends it at once."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

LINE = "miner: interrupted; the same command goes on from here"
EXIT = 130  # what shells report for SIGINT
SIGNALS = (signal.SIGINT, signal.SIGTERM)
# Who has these has not been told to ignore the signal, as a process in the background is.
_DEFAULTS = (signal.SIG_DFL, signal.default_int_handler)


@contextlib.contextmanager
def at_once() -> Iterator[None]:
    """End the process on SIGINT or SIGTERM as long as the block lasts.

    An interrupt inside the import of an extension module comes out as an ImportError or worse, so
    here none is raised. Whatever is half-written then is swept by the next run.
    """
    with _handled(_end):
        yield


@contextlib.contextmanager
def once() -> Iterator[None]:
    """Raise KeyboardInterrupt on the first SIGINT or SIGTERM; the second ends the process."""
    with _handled(_first):
        yield


def again() -> None:
    """Within `once`: put our handlers back where a library has set its own."""
    for number in SIGNALS:
        if _main() and number in _held:
            signal.signal(number, _first)


_held: set[int] = set()


@contextlib.contextmanager
def _handled(handler: Any) -> Iterator[None]:
    """With a handler for the signals that are not ignored; other threads cannot set any."""
    before = {}
    for number in SIGNALS:
        if _main() and signal.getsignal(number) in (*_DEFAULTS, _first):
            before[number] = signal.signal(number, handler)
    _held.update(before)
    try:
        yield
    finally:
        _held.difference_update(before)
        for number, old in before.items():
            signal.signal(number, old)


def _main() -> bool:
    return threading.current_thread() is threading.main_thread()


def _first(number: int, frame: object) -> None:
    for one in SIGNALS:
        signal.signal(one, _end)
    raise KeyboardInterrupt


def _end(number: int, frame: object) -> None:
    os.write(2, f"\n{LINE}\n".encode())
    os._exit(EXIT)
