"""The command line: `miner SUBCOMMAND`."""

from __future__ import annotations

import sys

import typer

from miner.commands import corpora, demo, filters, models, ner, run, segment, shards
from miner.errors import Refused

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
for room in (corpora, demo, filters, models, ner, run, segment, shards):
    room.register(app)


def main() -> None:
    """Run the command line; exit codes: 0 finished, 1 a check failed, 2 refused in one line."""
    try:
        app()
    except Refused as error:
        print(f"miner: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
