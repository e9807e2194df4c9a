"""`miner run`, `miner status`, `miner evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from miner.commands import ConfigFile, Corpora, Sets


def run(
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
) -> None:
    """Mine corpora into shards; run again to resume."""
    import os
    from shlex import quote

    from miner.interrupts import EXIT, LINE, at_once, once

    with at_once():
        from miner.core.threads import environment
        from miner.load_config import load_config

        settings = load_config(config, set_ or [], corpus or [], out, workers)
        os.environ.update(environment(settings.runner.threads))  # before numpy and torch load

        from rich.console import Console

        from miner.core.layout import REPORT
        from miner.progress import reporting
        from miner.report.summary import print_summary
        from miner.run import run as mine

    try:
        with once(), reporting(Console(stderr=True)) as progress:
            outcome = mine(settings, progress, ray, retry_isolated, takeover)
    except KeyboardInterrupt:
        typer.echo(LINE, err=True)
        raise typer.Exit(EXIT) from None
    console = Console()
    print_summary(outcome.store, console)
    if outcome.finished_before:
        console.print("Nothing was left to do.")
    console.print(
        f"Report: {outcome.store.path(REPORT)}", soft_wrap=True, markup=False, highlight=False
    )
    console.print(
        f"Next:   miner validate {quote(settings.out)}",
        soft_wrap=True,
        markup=False,
        highlight=False,
    )


def status(out: Annotated[str, typer.Argument(help="output folder or URL of a run")]) -> None:
    """Say how far a run is, from its files alone."""
    from rich.console import Console

    from miner.cluster.lease import state
    from miner.core.layout import RUN, check_out
    from miner.core.store import Store
    from miner.report.summary import print_status

    store = Store(out)
    check_out(store)
    rows = store.read_json(RUN)["rows"]
    console = Console()
    if line := state(store):
        console.print(line, soft_wrap=True, markup=False, highlight=False)
    print_status(store, sum(rows.values()), console, at_work=line.startswith("running"))


def evaluate(
    out: Annotated[str, typer.Argument(help="output folder or URL of a finished run")],
    masks: Annotated[Path, typer.Option(help="<corpus>/<image>/<entity>.png label maps")],
    json_file: Annotated[
        Path | None, typer.Option("--json", help="write the figures here too")
    ] = None,
) -> None:
    """Compare mined regions with expert masks."""
    import json

    from rich.console import Console
    from rich.table import Table

    from miner.core.store import Store
    from miner.report.evaluate import evaluate as compare

    found = compare(Store(out), masks)
    if json_file is not None:
        json_file.write_text(json.dumps(found, indent=2) + "\n")
    table = Table(
        "concept", "mined", "judged", "Dice", "IoU", "precision at IoU .5", "95% interval"
    )
    for column in table.columns[1:]:
        column.justify = "right"
    for name, row in [*found["concepts"].items(), ("all", found["all"])]:
        figures = ["-"] * 4
        if row["judged"]:
            interval = f"{row['precision_low']:.2f}-{row['precision_high']:.2f}"
            numbers = (row["dice"], row["iou"], row["precision"])
            figures = [*(f"{v:.3f}" for v in numbers), interval]
        table.add_row(name, str(row["mined"]), str(row["judged"]), *figures)
    Console().print(table)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (run, status, evaluate):
        app.command()(command)
