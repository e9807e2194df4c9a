"""The command line in this process, with its refusals raised."""

from typer.testing import CliRunner

from miner.cli import app
from miner.core.errors import Refused


def miner(*arguments):
    """What `miner ARGUMENTS` gives."""
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    if isinstance(result.exception, Refused):
        raise result.exception
    return result
