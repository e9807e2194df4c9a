"""`miner diff`."""

from __future__ import annotations

from typing import Annotated

import typer


def diff(
    a: Annotated[str, typer.Argument(help="OUT of a finished run, folder or URL")],
    b: Annotated[
        str, typer.Argument(help="OUT of another one, or of the same with other settings")
    ],
    most: Annotated[int, typer.Option(min=1, help="lines of each table")] = 20,
) -> None:
    """Say what two runs keep and drop, and why: settings, caption rows, masks."""
    from rich.table import Table

    from miner.core.store import Store
    from miner.core.terminal import Terminal
    from miner.report.diff import diff as compare

    found = compare(Store(a), Store(b))
    console = Terminal()
    for line in found.settings:
        console.print(line, highlight=False, soft_wrap=True)
    if not found.settings:
        console.print("Settings are the same.")
    asked = "Concepts asked for, each once per picture"
    both = (("Caption rows", found.rows), (asked, found.masks))
    for title, moved in both:
        shown = list(moved.items())[:most]
        table = Table("in A", "in B", "how many", "such as", title=title)
        table.columns[2].justify = "right"
        for pair, n in shown:
            examples = found.row_examples if moved is found.rows else found.examples
            table.add_row(*pair, str(n), ", ".join(examples.get(pair, ())))
        same = found.same_rows if moved is found.rows else found.same_masks
        console.print(table if shown else f"{title}: no difference")
        rest = len(moved) - len(shown)
        tail = f"; {rest} more kinds of change" if rest else ""
        console.print(f"{same} the same{tail}", highlight=False)
    if found.concepts:
        table = Table("masks in the shards of", "A alone", "B alone")
        for name, (left, right) in found.concepts.items():
            table.add_row(name, str(left), str(right))
        console.print(table)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(diff)
