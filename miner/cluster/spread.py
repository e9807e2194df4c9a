"""Units over pools of actors, whatever becomes of the actors, their nodes and the head.

A unit walks from pool to pool. What one group of stages hands to the next stays in Ray: the driver
holds the reference. An actor that dies, is silent or lies on a lost node gives its units to
others; nobody waits for one that has not been placed yet.
"""

from __future__ import annotations

import collections
import dataclasses
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NoReturn

import ray
from ray.exceptions import ObjectLostError, RayActorError, RayError, RayTaskError

from miner.cluster.pool import Actor, Pool, Staff
from miner.core.errors import Refused
from miner.corpora.plan import UnitRef
from miner.isolation import Isolated
from miner.work import MinedUnit

LOOK_S = 1.0  # how often the driver looks around while nothing is done
GROW_S = 5.0  # how often it asks how many workers there may be
SAY_S = 20.0  # how long actors wait for room before that is said
PATIENCE = 20  # times that a unit may be lost together with who was at it


@dataclasses.dataclass(eq=False)
class Walk:
    """A unit on its way.

    Attributes:
        ref: which.
        group: where it is.
        passed: what the group before made of it, in Ray.
        coming: what this group will have made of it, in Ray.
        losses: how often somebody was lost who was at it.
    """

    ref: UnitRef
    group: int = 0
    passed: Any = None
    coming: Any = None
    losses: int = 0


class Spread:
    """All units, in the order in which they are committed.

    Args:
        pools: groups of stages in pipeline order.
        refs: the units.
        left: how many those are.
        wanted: how many actors of each group there may be now; raises when the head is lost.
        in_flight: units underway per actor.
        leave_out: gives the unit without rows that end their worker.
        say: told what somebody should know.
    """

    def __init__(
        self,
        pools: Sequence[Pool],
        refs: Iterable[UnitRef],
        left: int,
        wanted: Callable[[], Sequence[int]],
        in_flight: int,
        leave_out: Callable[[UnitRef, Isolated], UnitRef],
        say: Callable[[str], None],
    ):
        self.pools = pools
        self.refs = iter(refs)
        self.left = left  # to be committed
        self.wanted, self.in_flight = wanted, in_flight
        self.leave_out, self.say = leave_out, say
        self.ready: list[collections.deque[Walk]] = [collections.deque() for _ in pools]
        self.asked: dict[Any, tuple[Walk, Actor]] = {}  # by the reference of the answer
        self.sizes: Sequence[int] = [0] * len(pools)
        self.sized = -GROW_S
        self.waits, self.said = 0.0, ""

    def __iter__(self) -> Iterator[MinedUnit]:
        """Yield units; raises `Refused` when a stage cannot be built or the head is lost."""
        try:
            while self.left:
                self._staff()
                self._hand_out()
                yield from self._collect()
        finally:
            # Actors at work end with this process's job; killed, Ray would report each as a fault.
            if not self.asked:
                for pool in self.pools:
                    for actor in list(pool.actors):
                        pool.end(actor)

    def state(self) -> tuple[int, int, dict[str, Staff]]:
        """Units left, units underway, and by stages their actors."""
        actors = {"+".join(pool.names): pool.staff() for pool in self.pools}
        return self.left, self._underway(), actors

    def _underway(self) -> int:
        return len(self.asked) + sum(map(len, self.ready))

    def _staff(self) -> None:
        """Replace who is lost, follow the room that there is, and say who waits for it."""
        now = time.monotonic()
        for pool in self.pools:
            for actor in list(pool.actors):
                if actor.silent():
                    self._lost(pool, actor, "does not answer")
        if now - self.sized >= GROW_S:
            self.sizes, self.sized = self.wanted(), now
        # Until there is one of each, nobody takes the room of whom the others wait for.
        whole = all(pool.up for pool in self.pools)
        for pool, size in zip(self.pools, self.sizes, strict=True):
            ready = whole or len(self.pools) == 1
            pool.fill(min(size, self.left) if ready else max(len(pool.up), 1))
        self._say_waiting(now)

    def _say_waiting(self, now: float) -> None:
        if not any(pool.waiting for pool in self.pools):
            self.waits, self.said = 0.0, ""
            return
        self.waits = self.waits or now
        if now - self.waits < SAY_S:
            return
        found = {", ".join(pool.names): pool.waits() for pool in self.pools}
        several = len(self.pools) > 1
        line = "; ".join(f"{n}: {w}" if several else w for n, w in found.items() if w)
        if line and line != self.said:
            self.say(line)
        self.said = line
        self.waits = now

    def _hand_out(self) -> None:
        """Give units to actors that are up and have room, the last group first."""
        for group, pool in reversed(list(enumerate(self.pools))):
            while (actor := pool.free(self.in_flight)) and (walk := self._next(group)):
                answer, walk.coming = actor.handle.process.remote(walk.ref, walk.passed)
                self.asked[answer] = walk, actor
                actor.units.add(answer)

    def _next(self, group: int) -> Walk | None:
        if self.ready[group]:
            return self.ready[group].popleft()
        room = self.in_flight * sum(len(pool.up) for pool in self.pools)
        if group == 0 and self._underway() < room and (ref := next(self.refs, None)):
            return Walk(ref)
        return None

    def _collect(self) -> Iterator[MinedUnit]:
        """Wait for what is done next; yields units that are committed."""
        pings = {a.ping: (pool, a) for pool in self.pools for a in pool.actors if a.ping}
        futures = [*self.asked, *pings]
        if not futures:
            time.sleep(LOOK_S)
            return
        done, _ = ray.wait(futures, num_returns=1, timeout=LOOK_S)
        if done:
            done, _ = ray.wait(futures, num_returns=len(futures), timeout=0)
        for future in done:
            if future in pings:
                self._hear(future, *pings[future])
            elif future in self.asked:  # else lost, with an actor, a moment ago
                unit = self._answer(future)
                if unit is not None:
                    self.left -= 1
                    yield unit

    def _hear(self, ping: Any, pool: Pool, actor: Actor) -> None:
        if actor not in pool.actors:
            return
        try:
            actor.answered(ray.get(ping))
        except RayActorError as error:
            if error.actor_init_failed:
                raise Refused(f"a worker cannot start: {_last(error)}") from None
            self._lost(pool, actor, "is gone")
        except RayError as error:
            raise Refused(f"a worker cannot start: {_last(error)}") from None

    def _answer(self, answer: Any) -> MinedUnit | None:
        walk, actor = self.asked[answer]
        pool = self.pools[walk.group]
        try:
            found = ray.get(answer)
        except RayTaskError as error:
            if not isinstance(error.cause, RayError):
                reraise(error)
            self._drop(answer)
            self._again(walk, 0)
            return None
        except ObjectLostError:  # with the node of the group before
            self._drop(answer)
            self._again(walk, 0)
            return None
        except RayError:
            self._lost(pool, actor, "is gone")
            return None
        self._drop(answer)
        pool.deaths = 0
        if isinstance(found, Isolated):
            self.ready[0].appendleft(Walk(self.leave_out(walk.ref, found)))
        elif found is not None:
            return found
        else:
            self.ready[walk.group + 1].append(Walk(walk.ref, walk.group + 1, walk.coming))
        return None

    def _drop(self, answer: Any) -> None:
        _, actor = self.asked.pop(answer)
        actor.units.remove(answer)

    def _lost(self, pool: Pool, actor: Actor, what: str) -> None:
        """Give the units of an actor to others."""
        answers = list(actor.units)
        if actor.at:
            self.say(f"the worker at {actor.at} {what}; others do its {len(answers)} units")
        pool.lost(actor)
        for answer in answers:
            walk, _ = self.asked[answer]
            self._drop(answer)
            self._again(walk, walk.group)

    def _again(self, walk: Walk, group: int) -> None:
        losses = walk.losses + 1
        if losses > PATIENCE:
            raise Refused(f"{walk.ref.unit_id}: {losses} workers were lost over it; see Ray's logs")
        passed = walk.passed if group else None
        self.ready[group].appendleft(Walk(walk.ref, group, passed, losses=losses))


def _last(error: Exception) -> str:
    """The last line of what Ray says: the cause."""
    return next((x.strip() for x in reversed(str(error).splitlines()) if x.strip()), repr(error))


def reraise(error: RayTaskError) -> NoReturn:
    """Raise what the worker raised."""
    # Ray's copy of the cause carries a traceback in its text, and lost errno and file.
    if isinstance(error.cause, (Refused, OSError)):
        raise error.cause from None
    raise error.as_instanceof_cause() from None
