"""`miner protect`: fingerprints of test sets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the commands of this room."""
    protect = typer.Typer(no_args_is_help=True, help="Fingerprints of test sets.")
    app.add_typer(protect, name="protect")

    @protect.callback()
    def _protect() -> None:
        """Fingerprints of test sets."""

    @protect.command()
    def build(
        source: Annotated[str, typer.Argument(help="folder, tar, parquet or npy with pictures")],
        out: Annotated[Path, typer.Option(help="file to write, .parquet")],
        model: Annotated[
            str, typer.Option(help="dedupe.model of the runs that it will guard")
        ] = "embedded",
    ) -> None:
        """Write a file of fingerprints, which holds no picture, for `protect:` of a run."""
        from filters.config import DedupeConfig
        from filters.dedupe.prints import read
        from filters.embed import embedder
        from miner.core.errors import Refused
        from miner.core.terminal import say
        from miner.core.wording import counted

        if out.suffix != ".parquet":
            raise Refused(f"--out {out}: a file of fingerprints ends in .parquet")
        prints = read(source, model, embedder(DedupeConfig(model=model)), "DIR")
        try:
            out.write_bytes(prints.to_bytes())
        except OSError as error:
            raise Refused(f"--out {out}: {error.strerror}") from None
        patients = f", {counted(len(prints.patients), 'patient')}" if prints.patients else ""
        say(f"{out}: fingerprints of {counted(len(prints), 'picture')}{patients}")
