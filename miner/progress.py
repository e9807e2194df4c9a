"""Progress of a run: a live bar on a terminal, one line per unit otherwise."""

from __future__ import annotations

import contextlib
import datetime
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)

from miner.core.terminal import say
from miner.work import MinedUnit


class Lines:
    """One line per unit on standard error, for logs."""

    def start(self, units: int, captions: int, done_units: int, done_captions: int) -> None:
        """Begin counting."""
        self.units, self.captions = units, captions
        self.done_units, self.done = done_units, done_captions
        self.masks = 0
        self.first, self.began = done_captions, time.monotonic()
        self._say(f"{units} units, {captions} captions; {done_units} units done before")

    def unit(self, done: MinedUnit) -> None:
        """Report a unit."""
        self.done_units += 1
        self.done += done.rows
        self.masks += done.mark["masks"]
        rate = (self.done - self.first) / max(time.monotonic() - self.began, 1e-9)
        left = (self.captions - self.done) / rate
        self._say(
            f"{done.mark['unit_id']} [{self.done_units}/{self.units}] {self.done} captions,"
            f" {rate:.1f}/s, {left:.0f} s left, {self.masks} masks drawn"
        )

    def note(self, text: str) -> None:
        """Report anything else."""
        self._say(text)

    def barrier(self) -> None:
        """Report the barrier."""
        self._say("verdicts, duplicates, shards, ledger, report")

    def _say(self, text: str) -> None:
        say(text, err=True)


class Bar:
    """A live bar on a terminal."""

    def __init__(self, progress: Progress):
        self.progress = progress

    def start(self, units: int, captions: int, done_units: int, done_captions: int) -> None:
        """Draw the bar."""
        self.masks, self.done = 0, done_captions
        self.first, self.began = done_captions, time.monotonic()
        self.task = self.progress.add_task(
            "mining", total=units, completed=done_units, note=f"{captions} captions"
        )

    def unit(self, done: MinedUnit) -> None:
        """Advance the bar."""
        self.done += done.rows
        self.masks += done.mark["masks"]
        rate = (self.done - self.first) / max(time.monotonic() - self.began, 1e-9)
        note = f"{rate:.1f} captions/s, {self.masks} masks drawn"
        self.progress.update(self.task, advance=1, note=note)

    def note(self, text: str) -> None:
        """Print a line above the bar."""
        self.progress.console.print(text, highlight=False, soft_wrap=True)

    def barrier(self) -> None:
        """Say what comes next."""
        self.progress.update(self.task, note="verdicts, duplicates, shards, report")


class Log:
    """Passes on what happens, and adds a line of JSON a unit to a file.

    Args:
        progress: told about everything.
        file: open for text.
    """

    def __init__(self, progress: Bar | Lines | Log, file: IO[str]):
        self.progress, self.file = progress, file

    def start(self, units: int, captions: int, done_units: int, done_captions: int) -> None:
        """Begin counting."""
        self.progress.start(units, captions, done_units, done_captions)

    def unit(self, done: MinedUnit) -> None:
        """Write the unit's line: when, which, rows by status, masks, seconds by stage."""
        line = {
            "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds"),
            "unit": done.mark["unit_id"],
            "rows": done.rows,
            "status": dict(done.status),
            "masks": done.mark["masks"],
            "seconds": {stage: round(s, 3) for stage, s in done.seconds.items()},
        }
        self.file.write(json.dumps(line) + "\n")
        self.file.flush()
        self.progress.unit(done)

    def note(self, text: str) -> None:
        """Report anything else."""
        self.progress.note(text)

    def barrier(self) -> None:
        """Report the barrier."""
        self.progress.barrier()


@contextlib.contextmanager
def reporting(console: Console, log: Path | None = None) -> Iterator[Bar | Lines | Log]:
    """A bar where `console` is a terminal, lines otherwise; `log` gets a line of JSON a unit."""
    if log is not None:
        with reporting(console) as progress, open(log, "a", encoding="utf-8") as file:
            yield Log(progress, file)
        return
    if not console.is_terminal:
        yield Lines()
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("units"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console) as progress:
        yield Bar(progress)
