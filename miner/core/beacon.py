"""Which picture is being worked on, told to whoever watches this process."""

from __future__ import annotations

from collections.abc import Callable

_listener: Callable[[str], None] | None = None


def tell(listener: Callable[[str], None] | None) -> None:
    """From now on `listener` hears of every picture; None ends it."""
    global _listener
    _listener = listener


def at(image_id: str) -> None:
    """Say that work on a picture begins; should the process die, it was this one."""
    if _listener is not None:
        _listener(image_id)
