"""`miner ner`."""

from __future__ import annotations

from typing import Annotated

import typer


def ner(
    text: Annotated[str, typer.Argument(help="a caption, or a .jsonl file of rows with `caption`")],
    out: Annotated[
        str | None, typer.Option(help="with a file: .jsonl to write the mentions to")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="ner setting, such as llm.base_url=http://localhost:8000/v1"),
    ] = None,
) -> None:
    """Print what a caption names, or write what the captions of a file name."""
    import json

    from miner.core.errors import Refused
    from miner.core.terminal import Terminal
    from ner.coloured import show
    from ner.extractor import Extractor
    from ner.jsonl import config_of, rows_of, write_rows

    extractor = Extractor(config_of(set_ or []))
    console = Terminal()
    if not text.endswith(".jsonl"):
        if out is not None:
            raise Refused(f"--out: needs a .jsonl file to read, got the caption {text[:40]!r}")
        (found,) = extractor([text])
        show(text, found.mentions, found.facts, console)
        for note in found.notes:
            console.print(note)
        return
    rows = rows_of(text)
    if out is None:
        for row in rows:
            (found,) = extractor([row["caption"]])
            show(row["caption"], found.mentions, found.facts, console)
        return
    written = write_rows(rows, extractor, out)
    console.print(json.dumps({"rows": written, **extractor.summary()}), soft_wrap=True)


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(ner)
