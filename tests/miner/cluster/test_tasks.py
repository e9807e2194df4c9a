"""Tasks of the barrier over a cluster that has no room, or is gone; Ray is played here."""

import ast
import errno

import pytest
from ray.exceptions import RayTaskError

from miner.cluster import tasks
from miner.core.errors import Refused
from miner.core.rooms import HOME


class Ray:
    """A cluster of two CPUs with a clock that moves when somebody waits.

    Attributes:
        done_s: how long a task takes; they run two at a time.
        free: CPUs that nobody else holds.
        most: how many tasks were asked for at once.
    """

    def __init__(self):
        self.now, self.done_s, self.free = 0.0, 1.0, 2
        self.underway, self.most = [], 0

    def monotonic(self):
        return self.now

    def cluster_resources(self):
        return {"CPU": 2.0}

    def available_resources(self):
        return {"CPU": max(self.free - len(self.underway), 0)}

    def remote(self, function):
        return Task(self, function)

    def wait(self, futures, num_returns, timeout):
        ready = [f for f in self.underway[: self.free] if self.now >= f.began + self.done_s]
        if not ready:
            self.now += timeout
        return ready[:num_returns], []

    def get(self, future):
        self.underway.remove(future)
        try:
            return future.function(future.item)
        except (Refused, OSError) as error:
            raise RayTaskError("task", "Traceback ...", error) from None


class Task:
    def __init__(self, ray, function):
        self.ray, self.function = ray, function

    def options(self, num_cpus, max_retries):
        return self

    def remote(self, item):
        future = Future(self.function, item, self.ray.now)
        self.ray.underway.append(future)
        self.ray.most = max(self.ray.most, len(self.ray.underway))
        return future


class Future:
    def __init__(self, function, item, began):
        self.function, self.item, self.began = function, item, began


@pytest.fixture
def ray(monkeypatch):
    made = Ray()
    monkeypatch.setattr(tasks, "ray", made)
    monkeypatch.setattr(tasks, "time", made)
    return made


def apply(items, function=lambda item: item * 10, check=lambda: None):
    said = []
    return list(tasks.apply(function, items, check, said.append)), said


def test_every_item_is_done_once_and_no_more_wait_than_one(ray):
    done, said = apply(range(9))
    assert sorted(done) == [item * 10 for item in range(9)]
    assert ray.most == 3
    assert not said


def test_tasks_without_room_are_said_now_and_then(ray):
    ray.free = 0

    def check():
        ray.free = 2 if ray.now > 150 else 0

    done, said = apply(range(2), check=check)
    assert sorted(done) == [0, 10]
    assert said == ["none of 2 tasks has ended for a while; 0 of 2 CPU free"] * 2


def test_a_lost_head_ends_what_waits(ray):
    def check():
        if ray.now > 3:
            raise Refused("the head is gone")

    ray.done_s = 1e9
    with pytest.raises(Refused, match="the head is gone"):
        apply(range(2), check=check)


@pytest.mark.parametrize("error", [Refused("damaged"), OSError(errno.ENOSPC, "full", "/out")])
def test_what_a_task_refuses_is_raised_as_it_was(ray, error):
    def fail(item):
        raise error

    with pytest.raises(type(error)) as raised:
        apply([1], fail)
    assert raised.value is error


def test_nothing_waits_for_ray_without_a_limit():
    calls = [
        (path, node)
        for path in sorted((HOME / "miner").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "ray.wait"
    ]
    without = [p.name for p, call in calls if "timeout" not in {k.arg for k in call.keywords}]
    assert len(calls) >= 3
    assert not without
    # What is asked for its value has been waited for: `ray.get` stands where `ray.wait` does.
    waits = {path for path, _ in calls}
    gets = {p for p in (HOME / "miner").rglob("*.py") if "ray.get(" in p.read_text()}
    assert gets <= waits
