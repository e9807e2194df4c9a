"""How many actors of every group of stages a cluster has room for."""

from __future__ import annotations

from collections.abc import Mapping

from miner.config import Config, Resources
from miner.stages import groups

UNITS = {"memory": 1e9}  # of a resource, where Ray counts in something smaller
SAID = {"memory": "GB of memory"}


def need(resources: Resources) -> dict[str, float]:
    """What an actor reserves, by Ray's names of resources and in its units."""
    return {
        "CPU": resources.num_cpus,
        "GPU": resources.num_gpus,
        "memory": resources.memory_gb * UNITS["memory"],
    }


def sizes(config: Config, have: Mapping[str, float]) -> list[int]:
    """Actors of every group; groups without a number of their own share what the others leave.

    Args:
        config: the run.
        have: what the cluster has in all, by Ray's names.

    Returns:
        At least 1 each, whether there is room for it or not.
    """
    pools = [resources for resources, _ in groups(config)]
    if config.runner.workers:
        shared = config.runner.workers
    else:
        own = [(resources.workers, need(resources)) for resources in pools if resources.workers]
        others = [need(resources) for resources in pools if not resources.workers]
        fits = []
        for name, total in have.items():
            left = total - sum(n * one.get(name, 0.0) for n, one in own)
            if each := sum(one.get(name, 0.0) for one in others):
                fits.append(int(left / each))
        shared = max(min(fits, default=1), 1)
    return [resources.workers or shared for resources in pools]


def lacking(config: Config, have: Mapping[str, float]) -> str:
    """What the cluster has too little of for one actor of every group, in words; or nothing."""
    for name in need(Resources()):
        wanted = sum(need(resources)[name] for resources, _ in groups(config))
        if wanted > have.get(name, 0.0):
            unit = UNITS.get(name, 1)
            there = f"{have.get(name, 0.0) / unit:.3g} {SAID.get(name, name)}"
            return f"the cluster has {there}, one worker of each group needs {wanted / unit:.3g}"
    return ""
