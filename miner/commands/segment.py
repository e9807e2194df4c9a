"""`miner segment`."""

from __future__ import annotations

from typing import Annotated

import typer


def segment(
    image: Annotated[str, typer.Argument(help="picture")],
    phrases: Annotated[list[str], typer.Argument(help="what to look for")],
    config: Annotated[
        str, typer.Option(help="configuration whose segmenters answer")
    ] = "quickstart.yaml",
    set_: Annotated[list[str] | None, typer.Option("--set", help="segment.decoys=0")] = None,
    out: Annotated[
        str, typer.Option(help="overlay to write; beside the picture when left out")
    ] = "",
    mpp: Annotated[float | None, typer.Option(help="um per pixel of the picture")] = None,
    site: Annotated[str | None, typer.Option(help="organ, for models that read it")] = None,
) -> None:
    """Segment phrases in one picture and draw them over it."""
    from pathlib import Path

    from miner.core.errors import Refused
    from miner.core.pixels import decode
    from miner.core.terminal import say
    from miner.core.threads import fix_threads
    from miner.load_config import load_config
    from miner.report.words import explain
    from segmenters.ask import answers, to_prompt
    from segmenters.overlay import describe, draw

    settings = load_config(config, set_ or [])
    fix_threads(settings.runner.threads)
    try:
        pixels = decode(Path(image).read_bytes())
    except OSError as error:
        raise Refused(f"{image}: {error.strerror or error}") from None
    except ValueError as error:
        raise Refused(f"{image}: {explain(str(error)) or error}") from None
    prompts = [to_prompt(phrase, site) for phrase in phrases]
    rows = answers(settings.segment, settings.runner.threads, pixels, prompts, mpp, image)
    target = Path(out) if out else Path(image).with_suffix(".overlay.png")
    try:
        draw(pixels, rows).save(target)
    except (OSError, ValueError) as error:
        raise Refused(f"{target}: {error}") from None
    for segmenter, candidate in rows:
        say(describe(segmenter, candidate))
    say(f"wrote {target}")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(segment)
