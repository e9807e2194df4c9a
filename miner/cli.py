"""The command line: `miner SUBCOMMAND`."""

from __future__ import annotations

import sys
from typing import Annotated, Any

from miner.interrupts import EXIT, LINE, at_once

with at_once():
    import typer
    from typer.core import TyperGroup

    from miner.commands import (
        audit,
        cluster,
        corpora,
        demo,
        diff,
        dupes,
        evaluate,
        filters,
        models,
        ner,
        parts,
        protect,
        run,
        segment,
        shards,
    )
    from miner.core.errors import DISK, PASSING, Refused
    from miner.core.extras import installed
    from miner.core.remote import unreachable
    from miner.core.rooms import check_rooms
    from miner.core.shown import shown
    from miner.core.terminal import safe_logs, say
    from miner.version import __version__


class _Commands(TyperGroup):
    """Says below the commands which parts of other packages there are."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help; only now is anybody interested in what is installed."""
        self.epilog = parts.offered()
        super().format_help(ctx, formatter)


app = typer.Typer(cls=_Commands, no_args_is_help=True, pretty_exceptions_enable=False)


def _version(asked: bool) -> None:
    if asked:
        say(f"histomine {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="say which it is")
    ] = False,
) -> None:
    """Mine grounded pseudo-labels from pathology image-caption corpora."""


# In the order in which the commands are met: `miner --help` lists them so.
for room in (
    demo,
    corpora,
    run,
    cluster,
    evaluate,
    shards,
    filters,
    diff,
    dupes,
    protect,
    audit,
    ner,
    segment,
    models,
    parts,
):
    room.register(app)


def main() -> None:
    """Run the command line.

    Exit codes: 0 finished, 1 a check failed, 2 refused in one line, 130 interrupted.
    """
    safe_logs()
    try:
        check_rooms()
        with installed():
            app()
    except KeyboardInterrupt:  # before or after a command; within one, typer leaves with 130
        say(LINE, err=True)
        sys.exit(EXIT)
    except Refused as error:
        say(f"miner: {error}", err=True)
        sys.exit(2)
    except Exception as error:
        if why := unreachable(error):
            say(f"miner: {shown(why)}", err=True)
            sys.exit(2)
        if not isinstance(error, OSError) or error.errno not in DISK | PASSING:
            raise
        where = f"{error.filename}: " if error.filename else ""
        say(f"miner: {where}{error.strerror}", err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
