"""Ctrl-C while libraries load: the process ends at once, in one line."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator

LINE = "miner: interrupted; the same command goes on from here"
EXIT = 130  # what shells report for SIGINT


@contextlib.contextmanager
def at_once() -> Iterator[None]:
    """End the process on SIGINT as long as the block lasts, unless the signal is ignored.

    An interrupt inside the import of an extension module comes out as an ImportError or worse, so
    here none is raised. Whatever is half-written then is swept by the next run. Threads other than
    the main one may not set handlers, and get no signals.
    """
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, _end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _end(number: int, frame: object) -> None:
    os.write(2, f"\n{LINE}\n".encode())
    os._exit(EXIT)
