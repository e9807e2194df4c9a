"""`miner submit`, `miner cancel`, `miner jobs`."""

from __future__ import annotations

from typing import Annotated

import typer

from miner.commands import ConfigFile, Corpora, Sets

Address = Annotated[
    str, typer.Option(help="of the head's dashboard", envvar="RAY_API_SERVER_ADDRESS")
]
LOCAL = "http://127.0.0.1:8265"


def submit(
    config: ConfigFile,
    address: Address = LOCAL,
    out: Annotated[str | None, typer.Option(help="output URL or path of the cluster")] = None,
    corpus: Corpora = None,
    set_: Sets = None,
    workers: Annotated[int | None, typer.Option(help="actors per group of stages")] = None,
    python: Annotated[str, typer.Option(help="interpreter on the cluster")] = "python",
    wait: Annotated[bool, typer.Option("--wait", help="show what it says until it ends")] = False,
    takeover: Annotated[
        bool, typer.Option("--takeover", help="take OUT from another run that is at work in it")
    ] = False,
) -> None:
    """Run a configuration as a job of a Ray cluster, with the Histomine that is installed here."""
    from miner.cluster.submit import follow
    from miner.cluster.submit import submit as send
    from miner.core.terminal import say
    from miner.load_config import load_config

    settings = load_config(config, set_ or [], corpus or [], out, workers)
    job = send(settings, address, python, "--takeover" if takeover else "")
    say(f"Job:    {job}")
    say(f"Status: miner status {settings.out}")
    say(f"Cancel: miner cancel {job} --address {address}")
    if wait and (ended := follow(address, job, lambda line: say(line, err=True))) != "succeeded":
        say(f"miner: {job}: {ended}", err=True)
        raise typer.Exit(1)


def cancel(
    job: Annotated[str, typer.Argument(help="as `miner submit` and `miner jobs` name it")],
    address: Address = LOCAL,
) -> None:
    """End a job as Ctrl-C would; submitted again, it goes on."""
    from miner.cluster.submit import cancel as end
    from miner.cluster.submit import status, word
    from miner.core.terminal import say

    if end(address, job):
        say(f"{job} is told to end")
    else:
        say(f"{job} was not running: {word(status(address, job).status)}")


def jobs(address: Address = LOCAL) -> None:
    """List the runs that were submitted to a cluster."""
    from miner.cluster.submit import began, word
    from miner.cluster.submit import jobs as listed
    from miner.core.terminal import say

    found = listed(address)
    if not found:
        say(f"no run was submitted to {address}")
    for job in found:
        out = (job.metadata or {})["out"]
        say(f"{job.submission_id}  {word(job.status):9}  {began(job)}  {out}")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (submit, cancel, jobs):
        app.command()(command)
