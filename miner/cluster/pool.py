"""The actors of one group of stages: who is up, what each is at, and what the others wait for."""

from __future__ import annotations

import dataclasses
import itertools
import os
import socket
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import ray
import ray._private.state

from miner.cluster.room import need
from miner.config import Config, Resources, StageName
from miner.corpora.plan import UnitRef
from miner.isolation import Isolated, IsolatedWorker
from miner.stages import NAMES

PING_S = 10.0
# An actor that has not answered for so long is stopped, or its node is out of reach.
SILENT_S = 60.0
LONGEST_PAUSE_S = 30.0


class Post:
    """The actor: a worker, and beside it an answer to whoever asks whether it is there.

    Args:
        config: the run.
        names: the stages of the group.
    """

    def __init__(self, config: Config, names: tuple[StageName, ...]):
        self.last = names[-1] == NAMES[-1]
        self.worker = IsolatedWorker(config, names)

    @ray.method(concurrency_group="health")
    def ping(self) -> str:
        """Where it is: host and process; answers while a unit is worked on, too."""
        return f"{socket.gethostname()} (process {os.getpid()})"

    @ray.method(num_returns=2)
    def process(self, ref: UnitRef, passed: Any) -> tuple[Any, Any]:
        """Run the stages over a unit.

        Returns:
            What the driver reads (`Isolated`; after the last stage, `MinedUnit`), and what the next
            group does.
        """
        done = self.worker.process(ref, passed)
        return (done, None) if self.last or isinstance(done, Isolated) else (None, done)


@dataclasses.dataclass(eq=False)
class Actor:
    """One actor as the driver sees it; times are `time.monotonic`.

    Attributes:
        handle: Ray's.
        at: host and process, once it has answered.
        ping: the question that is open.
        asked: when that was put.
        units: those it is at.
    """

    handle: Any
    at: str = ""
    ping: Any = None
    asked: float = 0.0
    units: set[Any] = dataclasses.field(default_factory=set)

    def ask(self) -> None:
        """Ask whether it is there."""
        self.ping, self.asked = self.handle.ping.remote(), time.monotonic()

    def answered(self, at: str) -> None:
        """It is."""
        self.at, self.ping = at, None

    def silent(self) -> bool:
        """Whether one that was up has not answered for too long; asks now and then."""
        if not self.at:
            return False
        since = time.monotonic() - self.asked
        if self.ping is None and since > PING_S:
            self.ask()
        return self.ping is not None and since > SILENT_S


class Staff(NamedTuple):
    """The actors of a group by what they do.

    Attributes:
        up: have answered.
        idle: are up and have no unit.
        waiting: have no room yet.
        idle_gpus: GPUs that the idle ones reserve.
    """

    up: int
    idle: int
    waiting: int
    idle_gpus: float


def post(config: Config, resources: Resources, names: tuple[StageName, ...]) -> Callable[[], Any]:
    """What asks Ray for an actor of a group; units of a lost one are given to others, by us."""
    remote = ray.remote(  # type: ignore[call-overload]  # concurrency_groups is in no stub
        num_cpus=resources.num_cpus,
        num_gpus=resources.num_gpus,
        memory=int(need(resources)["memory"]) or None,
        max_restarts=0,
        max_task_retries=0,
        concurrency_groups={"health": 1},
    )
    made = remote(Post)
    numbers = itertools.count(1)
    return lambda: made.options(name=f"{'+'.join(names)} {next(numbers)}").remote(config, names)


class Pool:
    """Actors of a group; units go only to those that are up.

    Args:
        resources: what an actor reserves.
        names: the stages of the group.
        build: asks for an actor.
    """

    def __init__(
        self, resources: Resources, names: tuple[StageName, ...], build: Callable[[], Any]
    ):
        self.resources = resources
        self.names = names
        self.build = build
        self.actors: list[Actor] = []
        self.deaths = 0  # in a row
        self.not_before = 0.0

    @property
    def up(self) -> list[Actor]:
        """Those that have answered."""
        return [actor for actor in self.actors if actor.at]

    @property
    def waiting(self) -> list[Actor]:
        """Those that have not answered yet."""
        return [actor for actor in self.actors if not actor.at]

    def staff(self) -> Staff:
        """How it stands."""
        idle = sum(not actor.units for actor in self.up)
        return Staff(len(self.up), idle, len(self.waiting), idle * self.resources.num_gpus)

    def fill(self, wanted: int) -> None:
        """Ask for as many as are wanted, and for none that waits beyond that."""
        for actor in self.waiting[: max(len(self.actors) - wanted, 0)]:
            self.end(actor)
        while len(self.actors) < wanted and time.monotonic() >= self.not_before:
            actor = Actor(self.build())
            actor.ask()
            self.actors.append(actor)

    def free(self, in_flight: int) -> Actor | None:
        """The one with the least to do that can take another unit."""
        actor = min(self.up, key=lambda a: len(a.units), default=None)
        return actor if actor is not None and len(actor.units) < in_flight else None

    def waits(self) -> str:
        """How many wait for what, in words; nothing where all have their place."""
        n = sum(not _placed(actor) for actor in self.waiting)
        if not n:
            return ""
        free = ray.available_resources()
        wanted = need(self.resources)
        lacking = [name for name, amount in wanted.items() if free.get(name, 0) < amount]
        what = " and ".join(lacking) or "a process"
        return f"{n} of {len(self.actors)} workers wait{'s' if n == 1 else ''} for {what}"

    def lost(self, actor: Actor) -> None:
        """One is gone; those that die one after the other are replaced more and more slowly."""
        self.end(actor)
        self.not_before = time.monotonic() + min(2**self.deaths - 1, LONGEST_PAUSE_S)
        self.deaths += 1

    def end(self, actor: Actor) -> None:
        """Let go of one."""
        self.actors.remove(actor)
        ray.kill(actor.handle)


def _placed(actor: Actor) -> bool:
    """Whether it has a process. Only Ray's dashboard says that publicly, where there is one."""
    about = ray._private.state.actors(actor.handle._actor_id.hex())
    return bool(about.get("Address", {}).get("Port"))
