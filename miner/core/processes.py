"""A function applied to items in processes of this machine."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

FEW = 8  # items that are done before processes have started


def in_processes(workers: int) -> Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]:
    """What applies a function to items in so many processes, in order; few start none.

    Args:
        workers: number of processes; 0: one per core.
    """
    count = workers or os.cpu_count() or 1

    def apply(function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        work = list(items)
        if count < 2 or len(work) < FEW:
            yield from map(function, work)
            return
        spawn = multiprocessing.get_context("spawn")
        with concurrent.futures.ProcessPoolExecutor(count, spawn) as pool:
            yield from pool.map(function, work)

    return apply
