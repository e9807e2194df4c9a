"""`miner export` and `miner validate`."""

from __future__ import annotations

from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the commands of the shards to the command line."""

    @app.command()
    def export(
        out: Annotated[str, typer.Argument(help="OUT of a finished run, folder or URL")],
        to: Annotated[str, typer.Option("--to", help="dialect; an unknown one lists them")],
        folder: Annotated[str, typer.Option("--out", help="folder to write, not there yet")],
        split: Annotated[list[str] | None, typer.Option(help="only this split")] = None,
        instruct: Annotated[
            str | None, typer.Option(help="task mix (YAML, or `default`): export dialogues")
        ] = None,
        published: Annotated[
            bool, typer.Option("--published", help="leave out samples with a generated text")
        ] = False,
        change: Annotated[
            list[str] | None, typer.Option("--set", help="setting of the dialect, name=value")
        ] = None,
    ) -> None:
        """Render a run in the dialect of a consumer."""
        from miner.core.errors import Refused
        from miner.core.store import Store
        from miner.core.terminal import say
        from miner.core.wording import counted
        from shards.export.options import read_options
        from shards.export.run import dialect, samples
        from shards.export.run import export as run
        from shards.export.run import published as only_published

        part = dialect(to)
        if instruct and not part.dialogues:
            raise Refused(
                f"--instruct {instruct}: {to} has no place for dialogues; it takes captions and "
                "phrases as they are, without --instruct"
            )
        options = read_options(part, change or ())
        store = Store(out)
        store.reach()
        source = samples(store, split)
        if published:
            source = only_published(source)
        if instruct:
            from shards.export.dialogue import answering
            from shards.instruct.mix import read_mix
            from shards.instruct.run import instructed

            source = instructed(source, read_mix(instruct), answering(to, options))
        try:
            done = run(source, to, folder, options)
        except OSError as error:
            raise Refused(f"--out {folder}: {error.strerror or error}") from None
        for text, count in done.losses.most_common():
            say(f"{count:>8}  {text}")
        if done.exchanges:
            say(f"{counted(done.exchanges.total(), 'exchange')}: {done.shares}")
        for note in done.notes:
            say(f"note: {note}")
        losses = counted(done.losses.total(), "loss", "losses") + " listed in LOSSES.jsonl"
        say(
            f"{folder}: {to}, {done.written:,} of {counted(done.samples, 'sample')} written; "
            f"{losses if done.losses else 'nothing lost'}"
        )

    @app.command()
    def validate(
        out: Annotated[str, typer.Argument(help="OUT of a finished run, folder or URL")],
        most: Annotated[int, typer.Option(help="faults to print")] = 40,
        workers: Annotated[int, typer.Option(help="processes; 0: one per core")] = 0,
    ) -> None:
        """Check every byte, sample and sum of a finished run."""
        from miner.core.processes import in_processes
        from miner.core.store import Store
        from miner.core.terminal import say
        from miner.core.wording import counted
        from shards.validate import validate as check

        store = Store(out)
        store.reach()
        report = check(store, in_processes(workers))
        for fault in report.faults[:most]:
            say(f"BROKEN {fault}")
        if len(report.faults) > most:
            say(f"... and {len(report.faults) - most} more")
        say(
            f"{counted(report.samples, 'sample')}, {counted(report.regions, 'region')}, "
            f"{report.bytes / 1e6:.1f} MB: {counted(len(report.faults), 'fault')}"
        )
        if report.faults:
            raise typer.Exit(1)
