"""`miner plan`, `miner inspect`."""

from __future__ import annotations

from typing import Annotated

import typer

from miner.commands import ConfigFile, Corpora, Sets


def plan(
    config: ConfigFile,
    out: Annotated[str | None, typer.Option(help="output folder or URL")] = None,
    corpus: Corpora = None,
    set_: Sets = None,
) -> None:
    """Plan the work units of a run, without running them."""
    from rich.table import Table

    from miner.core.store import Store
    from miner.core.terminal import Terminal
    from miner.corpora.plan import make_plan
    from miner.load_config import load_config

    settings = load_config(config, set_ or [], corpus or [], out)
    made = make_plan(settings.corpora, settings.runner.unit_rows, Store(settings.out))
    console = Terminal()
    table = Table("corpus", "rows", "pictures", "units", title=f"Plan in {settings.out}/plan")
    for column in table.columns[1:]:
        column.justify = "right"
    for name, rows in made.rows.items():
        table.add_row(name, f"{rows:,}", f"{made.images[name]:,}", f"{made.units[name]:,}")
    console.print(table)
    for problem in made.problems:
        console.print(f"problem: {problem}", soft_wrap=True)


def inspect(
    paths: Annotated[list[str], typer.Argument(help="folder, file or URL of a corpus")],
    json_: Annotated[bool, typer.Option("--json", help="one JSON object a path")] = False,
) -> None:
    """Say what a path holds: corpus, counts, missing files, spread, and the settings to paste."""
    import json

    from miner.core.terminal import Terminal, say
    from miner.corpora.inspect import examine, show

    for path in paths:
        found = examine(path)
        if json_:
            say(json.dumps(found, ensure_ascii=False, sort_keys=True))
        else:
            show(found, Terminal())


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(plan)
    app.command()(inspect)
