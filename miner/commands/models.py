"""`miner models`: checkpoints of other layouts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the commands of this room."""
    models = typer.Typer(no_args_is_help=True, help="Convert checkpoints of other layouts.")
    app.add_typer(models, name="models")

    @models.callback()
    def _models() -> None:
        """Checkpoints of other layouts."""

    @models.command()
    def convert(
        checkpoint: Annotated[Path, typer.Argument(help="File or folder of an open_clip model.")],
        out: Annotated[Path, typer.Argument(help="New folder for filters.clip.model.")],
        activation: Annotated[
            str | None, typer.Option(help="gelu or quick_gelu, where no config tells.")
        ] = None,
        tokenizer: Annotated[
            Path | None, typer.Option(help="tokenizer.json to put beside the weights.")
        ] = None,
    ) -> None:
        """Convert a CLIP checkpoint of open_clip, CONCH or BiomedCLIP for the filters."""
        from filters.clip.convert import convert as run
        from miner.core.errors import Refused
        from miner.core.terminal import say

        if activation not in (None, "gelu", "quick_gelu"):
            raise Refused(f"--activation: {activation!r} is neither gelu nor quick_gelu")
        kind = run(checkpoint, out, activation, tokenizer)
        say(f"{out}: {kind}; set filters.clip.model to this folder")
