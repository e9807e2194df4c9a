"""`miner parts`: what can be chosen by its kind."""

from __future__ import annotations

import typer


def offered() -> str:
    """What other packages offer, in a sentence; empty when there are none."""
    from miner.core.built_in import BUILT_IN
    from miner.core.parts import offers

    theirs: dict[str, list[str]] = {}
    for group in BUILT_IN:
        for kind, whose in offers(group).items():
            theirs.setdefault(whose, []).append(f"{kind} ({group})")
    return "; ".join(f"From {whose}: {', '.join(parts)}" for whose, parts in sorted(theirs.items()))


def parts() -> None:
    """List readers, segmenters, scores, exporters and tasks, and the packages they are from."""
    from rich.table import Table

    from miner.core.built_in import BUILT_IN
    from miner.core.parts import kinds, offers
    from miner.core.terminal import Terminal

    table = Table("group", "kind", "from", box=None)
    for group in BUILT_IN:
        theirs = offers(group)
        for kind in kinds(group):
            table.add_row(group, kind, theirs.get(kind, "histomine"))
    Terminal().print(table)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(parts)
