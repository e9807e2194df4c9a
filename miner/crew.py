"""Who does the work of a run: Ray's workers or this process; units while mining, then tasks."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from miner import isolation
from miner.config import Config
from miner.corpora.plan import UnitRef
from miner.stages import NAMES
from miner.work import MinedUnit

FEW = 8  # tasks that are done before Ray has started


class Crew:
    """Who does the work: Ray's workers, which start with the first of it, or this process.

    Args:
        config: the run.
        use_ray: spread over Ray.
        say: told who waits for room, and who is lost.
    """

    def __init__(self, config: Config, use_ray: bool, say: Callable[[str], None]):
        self._config, self._use_ray, self._say = config, use_ray, say
        self._stack = contextlib.ExitStack()
        self._workers: Callable[[], Sequence[int]] | None = None

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *why: Any) -> None:
        self._stack.__exit__(*why)

    def _ray(self) -> Callable[[], Sequence[int]]:
        """Ray, started once; says how many workers of each group there may be now."""
        from miner.runner import cluster

        if self._workers is None:
            self._workers = self._stack.enter_context(cluster(self._config))
        return self._workers

    def units(
        self,
        pending: Iterable[UnitRef],
        left: int,
        leave_out: Callable[[UnitRef, isolation.Isolated], UnitRef],
    ) -> Iterator[MinedUnit]:
        """Marks of the `left` pending units, as they are committed."""
        config = self._config
        if self._use_ray:
            from miner.runner import run_units

            yield from run_units(config, pending, left, self._ray(), leave_out, self._say)
            return
        with contextlib.closing(isolation.IsolatedWorker(config, NAMES)) as worker:
            for ref in pending:
                while isinstance(found := worker.process(ref, None), isolation.Isolated):
                    ref = leave_out(ref, found)
                yield found

    def spread(self, function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        """Results of a function of each item, in any order; few start no Ray."""
        work = list(items)
        if not self._use_ray or len(work) < (2 if self._workers else FEW):
            return map(function, work)
        from miner.cluster.tasks import apply

        return apply(function, work, self._ray(), self._say)
