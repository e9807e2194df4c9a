"""Tasks without a model: a function applied to items in processes of the cluster."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import ray
from ray.exceptions import RayTaskError

from miner.cluster.spread import LOOK_S, reraise

MAX_RETRIES = 5  # of a task whose process or node dies
SAY_S = 60.0  # how long no task has ended before that is said


def apply(
    function: Callable[[Any], Any],
    items: Iterable[Any],
    check: Callable[[], object],
    say: Callable[[str], None],
) -> Iterator[Any]:
    """Apply a function to items, on all CPUs that Ray has; yields results in any order.

    Args:
        function: is pickled.
        items: what it is given.
        check: called all the while; raises when the head is lost.
        say: told when no task ends for long, as when others hold all CPUs.

    Raises:
        Refused: the function did, or `check`; likewise for an `OSError`.
    """
    task: Any = ray.remote(lambda item: function(item)).options(num_cpus=1, max_retries=MAX_RETRIES)
    pending = iter(items)
    underway: set[Any] = set()
    heard = time.monotonic()
    while True:
        check()
        # Asked for anew each time: nodes come and go. One more waits than there is room for.
        cpus = int(ray.cluster_resources().get("CPU", 1))
        room = max(1 + cpus - len(underway), 0)
        underway |= {task.remote(item) for item in itertools.islice(pending, room)}
        if not underway:
            return
        done, _ = ray.wait(list(underway), num_returns=1, timeout=LOOK_S)
        now = time.monotonic()
        if done:
            heard = now
        elif now - heard > SAY_S:
            free = int(ray.available_resources().get("CPU", 0))
            say(f"none of {len(underway)} tasks has ended for a while; {free} of {cpus} CPU free")
            heard = now
        for future in done:
            underway.remove(future)
            try:
                yield ray.get(future)
            except RayTaskError as error:
                reraise(error)
