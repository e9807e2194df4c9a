"""The subcommands of `miner`, one module per room, and the options that several share.

Heavy imports stay inside the functions.
"""

from __future__ import annotations

from typing import Annotated

import typer

from miner.core.built_in import BUILT_IN
from miner.core.errors import Refused

Corpora = Annotated[
    list[str] | None,
    typer.Option(
        help="KIND=PATH, given again for each corpus; replaces the configured list. Kinds: "
        f"{', '.join(BUILT_IN['corpora'])} (pictures beside .txt files); miner parts lists those of"
        " other packages"
    ),
]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", help="SETTING=VALUE, e.g. filters.precision=0.8; may be given again"),
]


def refuse_beside(context: typer.Context, option: str, *others: str) -> None:
    """Refuse options of a command that have no meaning beside another one.

    Args:
        context: of the command.
        option: the one that is given, as it is written.
        others: names of parameters that it leaves without a meaning.

    Raises:
        Refused: one of them is on the command line.
    """
    for name in others:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            raise Refused(f"--{name.replace('_', '-')}: has no meaning beside {option}")


ConfigFile = Annotated[str, typer.Argument(help="YAML file, or one that ships: quickstart.yaml")]
