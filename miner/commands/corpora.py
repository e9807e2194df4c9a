"""`miner plan`, `miner inspect`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from miner.commands import ConfigFile, Corpora, Sets, refuse_beside

if TYPE_CHECKING:
    from miner.config import Config
    from miner.core.terminal import Terminal
    from miner.corpora.plan import Plan


def plan(
    config: ConfigFile,
    out: Annotated[str | None, typer.Option(help="output folder or URL")] = None,
    corpus: Corpora = None,
    set_: Sets = None,
    estimate: Annotated[
        int, typer.Option(min=0, help="mine so many units for nothing and say what all will cost")
    ] = 0,
) -> None:
    """Plan the work units of a run, without running them; with --estimate, what they will cost."""
    from rich.table import Table

    from miner.core.store import Store
    from miner.core.terminal import Terminal
    from miner.corpora.plan import make_plan
    from miner.load_config import load_config

    settings = load_config(config, set_ or [], corpus or [], out)
    store = Store(settings.out)
    store.reach()
    made = make_plan(settings.corpora, settings.runner.unit_rows, store)
    console = Terminal()
    table = Table("corpus", "rows", "pictures", "units", title=f"Plan in {settings.out}/plan")
    for column in table.columns[1:]:
        column.justify = "right"
    for name, rows in made.rows.items():
        table.add_row(name, f"{rows:,}", f"{made.images[name]:,}", f"{made.units[name]:,}")
    console.print(table)
    for problem in made.problems:
        console.print(f"problem: {problem}", soft_wrap=True)
    if estimate:
        _estimate(settings, made, estimate, console)


def _estimate(settings: Config, made: Plan, units: int, console: Terminal) -> None:
    """Print what the run will cost, and store it beside the plan."""
    import dataclasses
    import os

    from rich.table import Table

    from miner.core.layout import ESTIMATE
    from miner.core.store import Store
    from miner.core.threads import environment

    os.environ.update(environment(settings.runner.threads))  # before numpy and torch load
    from miner.core.amounts import unit
    from miner.estimate import CONFIDENCE, estimate

    found = estimate(settings, made, units)
    rows = sum(made.rows.values())
    amounts = {name: dataclasses.asdict(amount) for name, amount in found.items()}
    Store(settings.out).write_json(ESTIMATE, {"rows": rows, "units": units, **amounts})
    words = {
        "hours": ("time", "{}, as this machine's cores and devices go", 3600),
        "gpu_hours": ("time", "{} of GPUs reserved", 3600),
        "seconds": ("time", "{} of work, all workers together", 1),
        "bytes": ("bytes", "{} of units", 1),
        "tokens_in": ("tokens", "{} asked", 1),
        "tokens_out": ("tokens", "{} answered", 1),
    }
    title = f"{rows:,} captions, from {units} units; without the barrier"
    table = Table("what", "estimate", f"{CONFIDENCE:.0%} interval", title=title)
    for column in table.columns[1:]:
        column.justify = "right"
    for name, (kind, what, size) in words.items():
        if not found[name].high:
            continue
        name_of_unit, factor = unit(kind, found[name].middle * size)
        amount = found[name].times(size * factor)
        of = what.format(name_of_unit)
        table.add_row(of, f"{amount.middle:.3g}", f"{amount.low:.3g}-{amount.high:.3g}")
    console.print(table)


def inspect(
    context: typer.Context,
    paths: Annotated[list[str], typer.Argument(help="folder, file or URL of a corpus")],
    json_: Annotated[bool, typer.Option("--json", help="one JSON object a path")] = False,
    concepts: Annotated[
        bool,
        typer.Option(
            "--concepts", help="which share of what the captions name the segmenters know"
        ),
    ] = False,
    config: Annotated[
        str, typer.Option(help="whose segmenters, with --concepts")
    ] = "quickstart.yaml",
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="corpora.KIND.SETTING=VALUE, e.g. corpora.table.image=COLUMN: read the paths as"
            " this kind, with this setting; may be given again",
        ),
    ] = None,
) -> None:
    """Say what a path holds: corpus, counts, missing files, spread, and the settings to paste."""
    import json

    from miner.core.errors import Refused
    from miner.core.terminal import Terminal, say
    from miner.corpora.inspect import examine, show

    if not concepts:
        refuse_beside(context, "a look without --concepts", "config")
    refused = False
    for path in paths:
        count = _coverage_of(config, path) if concepts else None
        try:
            found = examine(path, count, set_ or [])
        except Refused as error:
            refused = True
            say(f"miner: {error}", err=True)
            continue
        if json_:
            say(json.dumps(found, ensure_ascii=False, sort_keys=True))
        else:
            show(found, Terminal())
    if refused:
        raise typer.Exit(2)


def _coverage_of(config: str, path: str) -> Callable[[str, list[str]], dict[str, Any]]:
    """What `examine` counts in captions of a corpus there."""
    import dataclasses

    from miner.coverage import coverage
    from miner.load_config import load_config

    def count(kind: str, captions: list[str]) -> dict[str, Any]:
        found = coverage(captions, load_config(config, corpora=[f"{kind}={path}"]))
        return {**dataclasses.asdict(found), "share": found.share}

    return count


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(plan)
    app.command()(inspect)
