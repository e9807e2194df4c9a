"""A Ray of this machine alone: it listens to nobody else, and asks nobody else anything."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from ray._private import ray_constants, services


@contextlib.contextmanager
def keeping_to_itself() -> Iterator[None]:
    """While this lasts, a Ray that is started listens on 127.0.0.1 alone.

    By itself it listens on all interfaces, and whoever reaches its ports runs code as you. Without
    the dashboard it still starts the dashboard's process, which asks the metadata of clouds where
    it is, even where no usage is to be told. Ray has a setting for neither.
    """
    places = ((ray_constants, "ENABLE_RAY_CLUSTER"), (services, "start_api_server"))
    before = [getattr(module, name) for module, name in places]
    ray_constants.ENABLE_RAY_CLUSTER = False
    services.start_api_server = lambda *_, **__: ("", None)  # the dashboard's address and process
    try:
        yield
    finally:
        for (module, name), value in zip(places, before, strict=True):
            setattr(module, name, value)
