"""`miner dupes`."""

from __future__ import annotations

from typing import Annotated

import typer


def dupes(
    out: Annotated[str, typer.Argument(help="output folder or URL of a finished run")],
    n: Annotated[int, typer.Option("--n", min=0, help="pairs on the page")] = 200,
) -> None:
    """Show the pictures that were dropped as duplicates beside those that stay."""
    from rich.table import Table

    from miner.core.store import Store
    from miner.core.terminal import Terminal
    from miner.report.dupes import counted_by_level, pairs, write_page

    store = Store(out)
    found = pairs(store)
    console = Terminal()
    if not found:
        console.print("No picture was dropped as a duplicate.")
        return
    table = Table("level", "pictures", "caption rows", title="Dropped as duplicates")
    for level, (pictures, rows) in counted_by_level(found).items():
        table.add_row(level, str(pictures), str(rows))
    console.print(table)
    for pair in found[:n]:
        line = f"{pair.how} {pair.similarity:.3f}  {pair.dropped} for {pair.keeper}"
        console.print(line, highlight=False, soft_wrap=True)
    page = store.shown(write_page(store, found[:n], len(found)))
    console.print(f"Drawn to {page}, the least similar first", soft_wrap=True)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(dupes)
