"""The run on Ray: joins or starts a cluster, and spreads units over it.

Each group of stages is a pool of actors (`miner.cluster.pool`), and units walk from pool to pool
(`miner.cluster.spread`); commits happen in the actors of the last one.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import shlex
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import ray
from ray.exceptions import AuthenticationError

from miner import interrupts
from miner.cluster.alone import keeping_to_itself
from miner.cluster.head import TOKEN, Head, check_address
from miner.cluster.metrics import Metrics
from miner.cluster.pool import Pool, post
from miner.cluster.room import lacking, sizes
from miner.cluster.spread import Spread
from miner.config import Config
from miner.core.errors import Refused
from miner.core.threads import environment
from miner.corpora.plan import UnitRef
from miner.isolation import Isolated
from miner.stages import groups
from miner.work import MinedUnit

STARTS = 3


@contextlib.contextmanager
def cluster(config: Config) -> Iterator[Callable[[], list[int]]]:
    """Join the cluster at RAY_ADDRESS, or start a local Ray.

    Yields what says how many workers of each group there may be now, as the cluster grows; it
    raises `Refused` once the head is lost. Who waits for Ray longer than that is ended in one line.

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
        check_address(address)
        try:
            ray.init(runtime_env=runtime_env, ignore_reinit_error=True, **quiet)
        except AuthenticationError:
            raise Refused(f"RAY_ADDRESS={address}: {TOKEN}") from None
        except (ConnectionError, RuntimeError) as error:  # such as another version of Ray
            raise Refused(f"RAY_ADDRESS={address}: {_first(error)}") from None
    else:
        # Ray tells its makers about clusters.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        # Ray's workers run at nice 15 by default and lose to any other load.
        os.environ.setdefault("RAY_worker_niceness", "0")
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        # Ray puts the interpreter into a shell command as it is: one in a folder with a space never
        # starts, and Ray tries for ever.
        runtime_env["py_executable"] = shlex.quote(sys.executable)
        wanted = config.runner.workers or os.cpu_count() or 1
        cpus = sum(r.num_cpus * (r.workers or wanted) for r, _ in groups(config))
        _start(math.ceil(cpus), runtime_env, quiet)
    interrupts.again()  # Ray has set its own
    have = ray.cluster_resources()
    if (not config.runner.workers or not joined) and (said := lacking(config, have)):
        raise Refused(f"runner.resources: {said}")
    head = Head(ray.get_runtime_context().gcs_address)

    def workers() -> list[int]:
        head.check()
        return sizes(config, ray.cluster_resources())

    try:
        with head:
            yield workers
    finally:
        if not joined:
            ray.shutdown()


def _start(cpus: int, runtime_env: dict[str, Any], quiet: dict[str, Any]) -> None:
    """Start a local Ray; on a busy machine it gives its own processes too little time at first."""
    for left in reversed(range(STARTS)):
        try:
            with keeping_to_itself():
                ray.init(
                    address="local",
                    num_cpus=max(1, cpus),
                    include_dashboard=False,
                    runtime_env=runtime_env,
                    **quiet,
                )
            return
        except Exception as error:  # Ray raises nothing narrower
            ray.shutdown()
            if "AF_UNIX" in str(error):
                name = "RAY_TMPDIR" if "RAY_TMPDIR" in os.environ else "TMPDIR"
                raise Refused(
                    f"{name}={os.environ.get(name, tempfile.gettempdir())}: too long a path for "
                    f"Ray's sockets, which have 107 bytes; set {name} to a short one such as /tmp, "
                    "or run with --no-ray"
                ) from None
            if not left:
                raise Refused(
                    f"Ray did not start ({_first(error)}); run again, or with --no-ray"
                ) from None


def _first(error: Exception) -> str:
    """The first sentence of what Ray says."""
    return str(error).split(". ")[0].strip()


def run_units(
    config: Config,
    refs: Iterable[UnitRef],
    left: int,
    workers: Callable[[], Sequence[int]],
    leave_out: Callable[[UnitRef, Isolated], UnitRef],
    say: Callable[[str], None],
) -> Iterator[MinedUnit]:
    """Run and commit units; yields each as it finishes, in any order.

    Args:
        config: the run.
        refs: its units.
        left: how many those are.
        workers: how many actors of each group of stages there may be now; see `cluster`.
        leave_out: gives the unit without rows that end their worker.
        say: told who waits for room, and who is lost.

    Raises:
        Refused: a stage cannot be built (missing model, wrong setting); the head is gone.
    """
    pools = [Pool(need, names, post(config, need, names)) for need, names in groups(config)]
    in_flight = config.runner.in_flight
    spread = Spread(pools, refs, left, workers, in_flight, leave_out, say)
    metrics = Metrics()
    for done in spread:
        metrics.unit(done)
        metrics.state(*spread.state())
        yield done
