"""`miner demo`."""

from __future__ import annotations

from typing import Annotated

import typer


def demo(
    directory: Annotated[str, typer.Argument(help="new folder for the phantom corpora")],
    captions: Annotated[int, typer.Option(help="captions in all three corpora together")] = 300,
    seed: Annotated[int, typer.Option(help="equal seeds give equal bytes")] = 0,
) -> None:
    """Write phantom corpora: synthetic tissue with captions and truth."""
    from miner.core.terminal import say
    from miner.demo import write_demo

    write_demo(directory, captions, seed)
    say(f"wrote {captions} captions to {directory}: quilt, pathcap, pathgen, expert_masks")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(demo)
