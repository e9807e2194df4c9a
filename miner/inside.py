"""A worker in the process that asks, with the face of `miner.child.Child`.

An error that the work raises costs a picture its rows, as there; a crash ends the process that
asks, and nothing is ever late.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from miner.child import Raised
from miner.config import Config, StageName
from miner.core import beacon
from miner.core.errors import Refused
from miner.interrupts import at_once


class Inside:
    """A `miner.work.Worker` here; arguments and attributes are `miner.child.Child`'s."""

    def __init__(self, config: Config, names: tuple[StageName, ...], eager: bool = True):
        self.eager = eager
        self.stage = "start"
        self.picture: str | None = None
        self.rows: dict[str, list[int]] = {}
        with at_once():  # models and their libraries load
            from miner.work import Worker

            self.worker = Worker(config, names, self._heard)

    def answer(self, late: Callable[[float, float], bool]) -> Any:
        """Load the models, where they are needed; see `ask`."""
        if self.eager:
            with at_once():
                self._raised(self.worker.load)

    def ask(self, method: str, *args: Any, late: Callable[[float, float], bool]) -> Any:
        """Call a method of the worker, however long it takes.

        Raises:
            Raised: the method raised.
            Refused: a stage could not be built.
            OSError: disk, network or rights, as the method raised it.
        """
        self.rows = {}
        beacon.tell(self._at)
        try:
            return self._raised(getattr(self.worker, method), *args)
        finally:
            beacon.tell(None)

    def close(self) -> None:
        """Nothing to end here."""

    def _raised(self, function: Callable[..., Any], *args: Any) -> Any:
        try:
            return function(*args)
        except Refused:
            raise
        except Exception as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise Raised(*Raised.told(error)) from error

    def _heard(self, what: str, value: Any) -> None:
        if what == "stage":
            self.stage, self.picture = value, None
        else:
            self.rows = value

    def _at(self, image_id: str) -> None:
        self.picture = image_id
