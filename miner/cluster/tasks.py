"""Tasks without a model: a function applied to items in processes of the cluster."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import ray
from ray.exceptions import RayTaskError

from miner.cluster.spread import reraise

MAX_RETRIES = 5  # of a task whose process or node dies


def apply(function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
    """Apply a function to items, on all CPUs that Ray has; yields results in any order.

    Args:
        function: is pickled.
        items: what it is given.

    Raises:
        Refused: the function did; likewise for an `OSError`.
    """
    task: Any = ray.remote(lambda item: function(item)).options(num_cpus=1, max_retries=MAX_RETRIES)
    pending = iter(items)
    underway: set[Any] = set()
    while True:
        # Asked for anew each time: nodes come and go. One more waits than there is room for.
        room = 1 + int(ray.cluster_resources().get("CPU", 1)) - len(underway)
        underway |= {task.remote(item) for item in itertools.islice(pending, max(room, 0))}
        if not underway:
            return
        done, _ = ray.wait(list(underway), num_returns=1)
        for future in done:
            underway.remove(future)
            try:
                yield ray.get(future)
            except RayTaskError as error:
                reraise(error)
