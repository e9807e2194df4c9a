"""Units over actors that come late, die, fall silent or never get room; Ray is played here."""

import dataclasses
import functools
import itertools

import pytest
from ray.exceptions import ActorDiedError, ActorUnavailableError, ObjectLostError, RayTaskError

from miner.cluster import pool as pools
from miner.cluster import spread as spreads
from miner.cluster.pool import Pool
from miner.cluster.spread import Spread
from miner.core.errors import Refused
from miner.corpora.plan import UnitRef
from miner.isolation import Fault, Isolated
from miner.load_config import check_config
from miner.stages import groups

SEVERAL = {"segment": {"num_gpus": 1}}


class Ray:
    """A cluster with a clock that moves when somebody waits for it.

    Attributes:
        room: how many actors may be up at once.
        starts_s: how long a process takes to start.
        done_s: how long a unit takes.
        plays: called at every wait; makes things happen.
        log: (group's first stage, number of the actor, unit) as they are begun.
    """

    def __init__(self):
        self.now, self.room, self.starts_s, self.done_s = 0.0, 99, 1.0, 1.0
        self.actors, self.log, self.killed = [], [], []
        self.plays = lambda: None
        self.made = {}  # what becomes of a task: by (stage, unit), values or errors one by one

    def monotonic(self):
        return self.now

    def sleep(self, s):
        self.now += s

    def wait(self, futures, num_returns, timeout):
        for _ in range(1 if timeout == 0 else int(timeout * 10)):
            done = [f for f in futures if f.ready()]
            if len(done) >= num_returns or timeout == 0:
                return done, []
            self.now += 0.1
            self.plays()
        return [], list(futures)

    def get(self, future):
        if isinstance(future.value(), Exception):
            raise future.value()
        return future.value()

    def kill(self, handle):
        handle.dead = True
        self.killed.append(handle)

    def available_resources(self):
        free = max(self.room - sum(a.placed() for a in self.actors), 0)
        return {"CPU": free, "GPU": 9, "memory": 1e12}


class Future:
    def __init__(self, actor, value, takes):
        self.actor, self.said, self.at = actor, value, actor.ray.now + takes

    def ready(self):
        return self.actor.dead or (self.actor.up() and self.actor.ray.now >= self.at)

    def value(self):
        return ActorDiedError() if self.actor.dead else self.said


class Handle:
    """An actor; `process` and `ping` have a `remote`, as Ray's have."""

    def __init__(self, ray, names):
        self.ray, self.names, self.began = ray, names, ray.now
        self.dead = self.silent = False
        self.number = len(ray.actors)
        ray.actors.append(self)
        self.ping = self.process = self

    def placed(self):
        return not self.dead and self in [a for a in self.ray.actors if not a.dead][: self.ray.room]

    def up(self):
        if self.silent or not self.placed():
            return False
        return self.ray.now >= self.began + self.ray.starts_s

    def remote(self, ref=None, passed=None):
        if ref is None:
            return Future(self, f"host (process {self.number})", 0)
        self.ray.log.append((self.names[0], self.number, ref.unit_id))
        last = "embed" in self.names
        values = self.ray.made.get((self.names[0], ref.unit_id), [])
        value = values.pop(0) if values else {"mark": ref.unit_id} if last else None
        return Future(self, value, self.ray.done_s), f"{ref.unit_id} after {self.names[-1]}"


@pytest.fixture
def ray(monkeypatch):
    made = Ray()
    for module in (pools, spreads):
        monkeypatch.setattr(module, "ray", made)
        monkeypatch.setattr(module, "time", made)
    monkeypatch.setattr(pools, "_placed", lambda actor: actor.handle.placed())
    return made


def mine(ray, units=6, workers=2, resources=None, check=lambda: None):
    """Marks and what was said."""
    settings = {"corpora": [{"kind": "pairs", "path": "x"}]}
    settings["runner"] = {"resources": resources or {}}
    config = check_config(settings, "test")
    made = [
        Pool(need, names, functools.partial(Handle, ray, names)) for need, names in groups(config)
    ]
    said = []
    refs = [UnitRef(f"u{i}", "c", i, 1) for i in range(units)]

    def wanted():
        check()
        size = workers() if callable(workers) else workers
        return [need.workers or size for need, _ in groups(config)]

    def leave_out(ref, found):
        return dataclasses.replace(ref, isolated=((0, "worker_died"),))

    spread = Spread(made, refs, units, wanted, 2, leave_out, said.append)
    marks = [mark["mark"] for mark in itertools.islice(spread, 1000)]
    return marks, said


def test_units_go_to_all_who_are_up_and_each_is_done_once(ray):
    marks, said = mine(ray)
    assert sorted(marks) == [f"u{i}" for i in range(6)]
    assert {number for _, number, _ in ray.log} == {0, 1}
    assert len(ray.log) == 6
    assert not said
    assert len(ray.killed) == 2  # let go in the end


def test_no_more_are_started_than_there_are_units(ray):
    mine(ray, units=3, workers=8)
    assert len(ray.actors) == 3


def test_nothing_goes_to_an_actor_without_room_and_that_is_said(ray):
    ray.room, ray.done_s = 1, 20.0
    marks, said = mine(ray)
    assert sorted(marks) == [f"u{i}" for i in range(6)]
    assert {number for _, number, _ in ray.log} == {0}
    assert said == ["1 of 2 workers waits for CPU"]


def test_one_that_gets_room_later_takes_part(ray):
    ray.room, ray.done_s = 1, 10.0
    ray.plays = lambda: setattr(ray, "room", 1 if ray.now < 30 else 2)
    mine(ray, units=12)
    assert {number for _, number, _ in ray.log} == {0, 1}


def test_workers_follow_the_cluster(ray):
    ray.done_s = 5.0
    most = []

    def wanted():
        most.append(sum(not a.dead for a in ray.actors))
        return 1 if ray.now < 20 else 4

    mine(ray, units=40, workers=wanted)
    assert max(most[:4]) == 1
    assert max(most) == 4


def test_surplus_that_waits_is_given_up(ray):
    ray.room, ray.done_s = 1, 10.0
    mine(ray, units=8, workers=lambda: 3 if ray.now < 10 else 1)
    assert len(ray.actors) == 3
    assert [a.number for a in ray.killed[:2]] == [1, 2]


@pytest.mark.parametrize("kind", ["dead", "silent"])
def test_who_is_lost_gives_its_units_to_others(ray, kind):
    ray.done_s = 3.0

    def play():
        if 2 < ray.now < 2.2:
            setattr(ray.actors[0], kind, True)

    ray.plays = play
    marks, said = mine(ray, units=8)
    assert sorted(marks) == [f"u{i}" for i in range(8)]
    what = {"dead": "is gone", "silent": "does not answer"}[kind]
    assert said == [f"the worker at host (process 0) {what}; others do its 2 units"]
    assert len(ray.actors) == 3  # another in its place


def test_an_actor_that_cannot_be_reached_is_as_good_as_lost(ray):
    ray.made = {("extract", "u3"): [ActorUnavailableError("refused", b"1" * 16)]}
    marks, _ = mine(ray)
    assert sorted(marks) == [f"u{i}" for i in range(6)]


def test_many_deaths_in_a_row_end_nothing_and_slow_the_next_start(ray):
    ray.done_s = 5.0
    ray.plays = lambda: [setattr(a, "dead", True) for a in ray.actors[:6] if ray.now > a.began + 3]
    marks, _ = mine(ray, units=2, workers=1)
    assert sorted(marks) == ["u0", "u1"]
    began = [a.began for a in ray.actors]
    gaps = [b - a for a, b in itertools.pairwise(began)]
    assert gaps[-1] > gaps[0] + 10


def test_a_unit_over_which_all_die_ends_the_run_in_one_line(ray):
    ray.made = {("extract", "u0"): [ActorUnavailableError("x", b"1" * 16)] * 99}
    with pytest.raises(Refused, match=r"^u0: 21 workers were lost over it"):
        mine(ray)


def test_groups_pass_on_what_they_made(ray):
    marks, _ = mine(ray, resources=SEVERAL)
    assert sorted(marks) == [f"u{i}" for i in range(6)]
    for unit in marks:
        assert [stage for stage, _, u in ray.log if u == unit] == ["extract", "segment", "score"]


def test_no_group_takes_the_room_that_another_needs(ray):
    ray.room = 3
    marks, _ = mine(ray, workers=3, resources=SEVERAL)
    assert len(marks) == 6
    assert [a.names[0] for a in ray.actors[:3]] == ["extract", "segment", "score"]


def test_who_is_idle_with_a_gpu_is_counted(ray):
    need, names = groups(check_config(
        {"corpora": [{"kind": "pairs", "path": "x"}], "runner": {"resources": SEVERAL}}, "test"
    ))[1]  # fmt: skip
    pool = Pool(need, names, functools.partial(Handle, ray, names))
    pool.fill(3)
    for actor in pool.actors[:2]:
        actor.answered("host")
    pool.actors[0].units.add("u0")
    assert pool.staff() == (2, 1, 1, 1.0)  # up, idle, waiting, idle GPUs


def test_what_is_lost_with_a_node_is_made_again(ray):
    lost = ObjectLostError("a" * 40, None, "")
    ray.made = {("segment", "u2"): [lost]}
    marks, _ = mine(ray, resources=SEVERAL)
    assert len(marks) == 6
    assert [stage for stage, _, u in ray.log if u == "u2"] == [
        *("extract", "segment", "extract", "segment", "score")
    ]


def test_rows_left_out_begin_the_unit_anew(ray):
    found = Isolated({0: Fault("worker_died", "segment", "c/1.jpg", (0,), "SIGSEGV")})
    ray.made = {("segment", "u1"): [found]}
    marks, _ = mine(ray, resources=SEVERAL)
    assert sorted(marks) == [f"u{i}" for i in range(6)]
    assert [s for s, _, u in ray.log if u == "u1"].count("extract") == 2


def test_what_a_stage_refuses_is_one_line(ray):
    error = RayTaskError("process", "Traceback ...", Refused("segment: no such file"))
    ray.made = {("extract", "u0"): [error]}
    with pytest.raises(Refused, match=r"^segment: no such file$"):
        mine(ray)


def test_a_lost_head_ends_the_run(ray):
    def check():
        if ray.now > 3:
            raise Refused("the head is gone")

    with pytest.raises(Refused, match="the head is gone"):
        mine(ray, units=99, check=check)
