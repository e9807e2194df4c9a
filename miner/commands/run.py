"""`miner run`, `miner status`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from miner.commands import ConfigFile, Corpora, Sets, refuse_beside


def run(
    context: typer.Context,
    config: ConfigFile,
    out: Annotated[str | None, typer.Option(help="output folder or URL")] = None,
    corpus: Corpora = None,
    set_: Sets = None,
    workers: Annotated[
        int | None, typer.Option(help="processes to spread over; one per core")
    ] = None,
    ray: Annotated[
        bool, typer.Option("--ray/--no-ray", help="on Ray, or one unit after the other")
    ] = True,
    retry_isolated: Annotated[
        bool, typer.Option("--retry-isolated", help="try rows once more that ended their worker")
    ] = False,
    takeover: Annotated[
        bool, typer.Option("--takeover", help="take OUT from another run that is at work in it")
    ] = False,
    log: Annotated[
        Path | None, typer.Option(help="add a line of JSON per unit to this file: seconds, rows")
    ] = None,
) -> None:
    """Mine corpora into shards; run again to resume."""
    if not ray:
        refuse_beside(context, "--no-ray", "workers")
    import os
    from shlex import quote

    from miner.interrupts import EXIT, LINE, at_once, once

    with at_once():
        from miner.core.threads import environment
        from miner.load_config import load_config

        settings = load_config(config, set_ or [], corpus or [], out, workers)
        os.environ.update(environment(settings.runner.threads))  # before numpy and torch load

        from miner.core.layout import REPORT
        from miner.core.terminal import Terminal, say
        from miner.progress import reporting
        from miner.report.summary import print_summary
        from miner.run import run as mine

    try:
        with once(), reporting(Terminal(stderr=True), log) as progress:
            outcome = mine(settings, progress, ray, retry_isolated, takeover)
    except KeyboardInterrupt:
        say(LINE, err=True)
        raise typer.Exit(EXIT) from None
    console = Terminal()
    print_summary(outcome.store, console)
    if outcome.finished_before:
        console.print("Nothing was left to do.")
    console.print(f"Report: {outcome.store.shown(REPORT)}", soft_wrap=True, highlight=False)
    console.print(
        f"Next:   miner validate {quote(settings.out)}",
        soft_wrap=True,
        highlight=False,
    )


def status(out: Annotated[str, typer.Argument(help="output folder or URL of a run")]) -> None:
    """Say how far a run is, from its files alone."""
    from miner.cluster.lease import state
    from miner.core.layout import RUN, check_out
    from miner.core.store import Store
    from miner.core.terminal import Terminal
    from miner.report.summary import print_status

    store = Store(out)
    check_out(store)
    rows = store.read_json(RUN, ["rows"])["rows"]
    console = Terminal()
    if line := state(store):
        console.print(line, soft_wrap=True, highlight=False)
    print_status(store, sum(rows.values()), console, at_work=line.startswith("running"))


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (run, status):
        app.command()(command)
