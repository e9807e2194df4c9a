"""The subcommands of `miner`, one module per room, and the options that several share.

Heavy imports stay inside the functions.
"""

from __future__ import annotations

from typing import Annotated

import typer

Corpora = Annotated[
    list[str] | None,
    typer.Option(
        help="KIND=PATH, given again for each corpus; replaces the configured list. Kinds: quilt,"
        " pathcap, pathgen, arch, pairs (pictures beside .txt files), webdataset, hf, table"
    ),
]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", help="SETTING=VALUE, e.g. filters.precision=0.8; may be given again"),
]
ConfigFile = Annotated[str, typer.Argument(help="YAML file, or one that ships: quickstart.yaml")]
