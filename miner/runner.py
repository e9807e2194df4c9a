"""Units through chained Ray actors. The only module that imports ray.

Each group of stages is a pool of actors. A unit is submitted to one actor of every pool at once:
the object reference that the first returns is the argument of the second, so units wait in Ray and
not here. `in_flight` units per worker are underway; commits happen in the actors of the last pool.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import re
import shlex
import socket
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import ray
from ray.exceptions import RayTaskError

from miner import interrupts
from miner.config import Config
from miner.core.errors import Refused
from miner.core.threads import environment
from miner.corpora.plan import UnitRef
from miner.isolation import Isolated, IsolatedWorker
from miner.stages import groups

# A worker that dies (out of memory, lost node) is started again and its unit tried again.
MAX_RETRIES = 2
ANSWER_S = 10.0


@contextlib.contextmanager
def cluster(config: Config) -> Iterator[int]:
    """Join the cluster at RAY_ADDRESS, or start a local Ray; yields the number of workers.

    Raises:
        Refused: Ray does not start, no cluster answers, or it has no room for one worker.
    """
    # Ray's table of jobs shows the driver's command line, in which a --set may hold a password.
    ray._private.utils.get_entrypoint_name = lambda: "miner run"
    runtime_env: dict[str, Any] = {"env_vars": environment(config.runner.threads)}
    quiet: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    joined = ray.is_initialized() or "RAY_ADDRESS" in os.environ
    if joined:
        address = os.environ.get("RAY_ADDRESS", "")
        _check_address(address)
        try:
            ray.init(runtime_env=runtime_env, ignore_reinit_error=True, **quiet)
        except ConnectionError as error:
            raise Refused(f"RAY_ADDRESS={address}: {_first(error)}") from None
    else:
        # Ray's workers run at nice 15 by default and lose to any other load.
        os.environ.setdefault("RAY_worker_niceness", "0")
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        # Ray puts the interpreter into a shell command as it is: one in a folder with a space never
        # starts, and Ray tries for ever.
        runtime_env["py_executable"] = shlex.quote(sys.executable)
        wanted = config.runner.workers or os.cpu_count() or 1
        cpus = sum(r.num_cpus for r, _ in groups(config)) * wanted
        try:
            ray.init(
                address="local",
                num_cpus=max(1, int(-(-cpus // 1))),
                include_dashboard=False,
                runtime_env=runtime_env,
                **quiet,
            )
        except Exception as error:  # Ray raises nothing narrower
            if "AF_UNIX" in str(error):
                name = "RAY_TMPDIR" if "RAY_TMPDIR" in os.environ else "TMPDIR"
                raise Refused(
                    f"{name}={os.environ.get(name, tempfile.gettempdir())}: too long a path for "
                    f"Ray's sockets, which have 107 bytes; set {name} to a short one such as /tmp, "
                    "or run with --no-ray"
                ) from None
            raise Refused(
                f"Ray did not start ({_first(error)}); run again, or with --no-ray"
            ) from None
    interrupts.again()  # Ray has set its own
    try:
        yield config.runner.workers or _fitting(config)
    finally:
        if not joined:
            ray.shutdown()


def _check_address(address: str) -> None:
    """Refuse a host:port where nothing listens: Ray tries for minutes and says so in pages.

    Nothing listens either where `ray start` was called in an environment whose path has a space:
    the head dies a second later.
    """
    found = re.fullmatch(r"(?:ray://)?([\w.-]+):(\d+)", address)
    if found is None:
        return
    try:
        socket.create_connection((found[1], int(found[2])), timeout=ANSWER_S).close()
    except OSError as error:
        raise Refused(
            f"RAY_ADDRESS={address}: no Ray head answers ({error.strerror or error}); unset it to "
            "run on this machine"
        ) from None


def _first(error: Exception) -> str:
    """The first sentence of what Ray says."""
    return str(error).split(". ")[0].strip()


def _fitting(config: Config) -> int:
    """How many workers of every group fit into the cluster at once."""
    have = ray.cluster_resources()
    fits = []
    for resource, key in (("num_cpus", "CPU"), ("num_gpus", "GPU")):
        need = sum(getattr(r, resource) for r, _ in groups(config))
        if need:
            fits.append(int(have.get(key, 0) / need))
    workers = min(fits, default=1)
    if workers < 1:
        raise Refused(f"runner.resources: the cluster has {have}, one worker needs more")
    return workers


def run_units(
    config: Config,
    refs: Iterable[UnitRef],
    workers: int,
    leave_out: Callable[[UnitRef, Isolated], UnitRef],
) -> Iterator[dict[str, Any]]:
    """Run and commit units; yields each one's mark as it finishes, in any order.

    Args:
        config: the run.
        refs: its units.
        workers: actors per group of stages.
        leave_out: gives the unit without rows that end their worker.

    Raises:
        Refused: a stage cannot be built (missing model, wrong setting).
    """
    pools: list[list[Any]] = []
    for resources, names in groups(config):
        actor: Any = ray.remote(_worker(config)).options(
            num_cpus=resources.num_cpus,
            num_gpus=resources.num_gpus,
            max_restarts=-1,
            max_task_retries=MAX_RETRIES,
        )
        pools.append([actor.remote(config, names) for _ in range(workers)])
    load = [[0] * workers for _ in pools]
    underway: dict[Any, tuple[UnitRef, list[int]]] = {}
    again: list[UnitRef] = []
    pending = iter(refs)
    try:
        while True:
            room = workers * config.runner.in_flight - len(underway)
            for ref in itertools.islice(itertools.chain(_emptied(again), pending), max(room, 0)):
                value: Any = None
                chosen = []
                for pool, busy in zip(pools, load, strict=True):
                    at = min(range(workers), key=busy.__getitem__)
                    busy[at] += 1
                    chosen.append(at)
                    value = pool[at].process.remote(ref, value)
                underway[value] = (ref, chosen)
            if not underway:
                return
            done, _ = ray.wait(list(underway), num_returns=1)
            for future in done:
                ref, chosen = underway.pop(future)
                for busy, at in zip(load, chosen, strict=True):
                    busy[at] -= 1
                found = _result(future)
                if isinstance(found, Isolated):
                    again.append(leave_out(ref, found))
                else:
                    yield found
    finally:
        # Actors at work end with this process's job; killed, Ray would report each as a fault.
        if not underway:
            for actor in itertools.chain(*pools):
                ray.kill(actor)


def _worker(config: Config) -> type:
    if config.runner.isolation:
        return IsolatedWorker
    from miner.work import Worker

    return Worker


def _emptied(refs: list[UnitRef]) -> Iterator[UnitRef]:
    while refs:
        yield refs.pop()


def _result(future: Any) -> dict[str, Any]:
    try:
        return ray.get(future)
    except RayTaskError as error:
        # Ray's copy of the cause carries a traceback in its text, and lost errno and file.
        if isinstance(error.cause, (Refused, OSError)):
            raise error.cause from None
        raise error.as_instanceof_cause() from None
