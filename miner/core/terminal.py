"""The one way to the terminal: `Terminal` for tables and colours, `say` for lines, logs alike."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from miner.core.shown import shown


class Terminal(Console):
    """A console on which nothing that is printed can move the cursor or hold a password.

    Brackets are brackets: names and captions are no markup.
    """

    def __init__(self, **options: Any):
        super().__init__(markup=False, **options)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Render as rich does, with the text of every segment made fit to be seen."""
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield Segment(shown(segment.text, lines=True), segment.style)


def say(text: str, err: bool = False) -> None:
    """Print one line, on standard output or standard error."""
    print(shown(text), file=sys.stderr if err else sys.stdout, flush=True)


class _Formatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """Format as usual; only a traceback has lines of its own."""
        return shown(super().format(record), lines=bool(record.exc_info))


def safe_logs() -> None:
    """Let warnings go the same way where nobody has set up logging otherwise."""
    last: Any = logging.lastResort
    last.setFormatter(_Formatter())
